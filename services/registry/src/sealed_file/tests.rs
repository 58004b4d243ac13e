//! What was written comes back, and nothing else does.

use creditgate_runtime::sealed::Keyring;

use super::*;

/// More than two pieces, each byte by its place.
fn text() -> Vec<u8> {
    (0..2 * PIECE_BYTES + 1_000)
        .map(|at| u8::try_from(at % 251).unwrap_or_default())
        .collect()
}

fn sealer(keyring: &Keyring) -> Sealer {
    keyring.sealer("registry")
}

fn written(sealer: &Sealer, text: &[u8], last: &[u8]) -> Vec<u8> {
    let mut to = SealedWriter::new(Vec::new(), sealer, Kind::Base).expect("begun");
    for part in text.chunks(100_001) {
        to.write_all(part).expect("written");
    }
    to.end(last).expect("ended")
}

/// What a file gives, and what stands in its last piece.
fn read(bytes: &[u8], sealer: &Sealer, kind: Kind) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut from = SealedReader::new(bytes, sealer, kind)?;
    let mut text = Vec::new();
    from.read_to_end(&mut text)?;
    let last = from.last().expect("it was read to its end").to_vec();
    Ok((text, last))
}

/// Where each piece begins, and the end.
fn pieces(bytes: &[u8]) -> Vec<usize> {
    let (mut all, mut at) = (vec![HEAD_BYTES], HEAD_BYTES);
    while at < bytes.len() {
        let length = bytes[at + 1..].first_chunk::<4>().expect("a length");
        at += 5 + u32::from_le_bytes(*length) as usize;
        all.push(at);
    }
    all
}

#[test]
fn what_was_written_comes_back_with_its_last_piece() {
    let sealer = sealer(&Keyring::generate());
    for text in [Vec::new(), b"short".to_vec(), text()] {
        let bytes = written(&sealer, &text, b"header");
        assert!(is_sealed(&bytes));
        assert_eq!(key_of(&bytes), Some(sealer.key_id()));
        assert!(text.is_empty() || !bytes.windows(5).any(|part| part == &text[..5]));
        let (back, last) = read(&bytes, &sealer, Kind::Base).expect("opened");
        assert!(back == text, "{} bytes of {}", back.len(), text.len());
        assert_eq!(last, b"header");
    }
    assert!(!is_sealed(b"CGBASEF"));
    assert_eq!(key_of(b"CGSEALF"), None);
}

#[test]
fn a_file_that_was_cut_mixed_or_changed_does_not_open() {
    let sealer = sealer(&Keyring::generate());
    let bytes = written(&sealer, &text(), b"");
    let refused = |bytes: &[u8], what: &str| {
        assert!(read(bytes, &sealer, Kind::Base).is_err(), "{what}");
    };
    let at = pieces(&bytes);
    assert_eq!(at.len(), 5, "three pieces and the last");
    for end in &at[..4] {
        refused(&bytes[..*end], "cut off");
    }
    refused(&bytes[..bytes.len() - 1], "cut off in the last piece");
    refused(&[&bytes[..], b"x"].concat(), "something behind it");
    let piece = |n: usize| &bytes[at[n]..at[n + 1]];
    let head = &bytes[..HEAD_BYTES];
    let swapped = [head, piece(1), piece(0), piece(2), piece(3)].concat();
    refused(&swapped, "two pieces swapped");
    let shorter = [head, piece(0), piece(1), piece(3)].concat();
    refused(&shorter, "a piece left out");
    let other = written(&sealer, &text(), b"");
    let mixed = [head, &other[at[0]..at[1]], piece(1), piece(2), piece(3)].concat();
    refused(&mixed, "a piece of another file");
    for place in [0, 9, at[0], at[0] + 2, at[0] + 100, at[3] + 20] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        refused(&changed, "a byte changed");
    }
    assert!(read(&bytes, &sealer, Kind::Held).is_err(), "another kind");
    read(&bytes, &sealer, Kind::Base).expect("as it was written");
}

#[test]
fn a_file_opens_after_a_rotation_and_under_no_other_keyring() {
    let mut keyring = Keyring::generate();
    let bytes = written(&sealer(&keyring), b"text", b"");
    let foreign = sealer(&Keyring::generate());
    let refused = read(&bytes, &foreign, Kind::Base).expect_err("another keyring");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    keyring.rotate();
    let rotated = sealer(&keyring);
    assert_ne!(key_of(&bytes), Some(rotated.key_id()));
    let (back, _) = read(&bytes, &rotated, Kind::Base).expect("opened");
    assert_eq!(back, b"text");
}

#[test]
fn a_file_that_is_still_written_to_is_read_as_far_as_it_is_sealed() {
    let sealer = sealer(&Keyring::generate());
    let text = text();
    let mut to = SealedWriter::new(Vec::new(), &sealer, Kind::Spool).expect("begun");
    to.write_all(&text).expect("written");
    assert_eq!((to.pieces(), to.waiting().len()), (2, 1_000));
    let from = SealedReader::of_pieces(&to.get_ref()[..], &sealer, Kind::Spool, to.pieces());
    let mut back = Vec::new();
    let mut from = from.expect("begun").chain(to.waiting());
    from.read_to_end(&mut back).expect("read");
    assert!(back == text, "{} bytes of {}", back.len(), text.len());
}
