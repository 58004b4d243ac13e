//! Files that are sealed whole, in pieces: nothing of what is written into one stands on the disk in clear.
//!
//! Layout: magic · id of the file (16 random bytes) · number of the key as `u32` · pieces. A piece is its tag (0:
//! another one follows, 1: it is the last), the length of its sealed bytes as `u32`, and these; numbers are
//! little-endian. The last one holds what its writer knew only at the end.
//!
//! INVARIANT (whole file): a piece is sealed to the kind and the id of its file, its place and its tag. One that is
//! left out, moved, cut off or taken from another file does not open.

use std::io::{self, Read, Write};

use creditgate_runtime::sealed::Sealer;
use uuid::Uuid;

/// FENCE (sealed files): the last byte is the format's number.
const MAGIC: [u8; 8] = *b"CGSEALF\x01";
const HEAD_BYTES: usize = 28;
/// Plain bytes of a piece: enough that opening them is worth a key, few enough to hold one in passing.
const PIECE_BYTES: usize = 256 << 10;
/// A piece and what sealing adds to it is never longer.
const SEALED_BYTES_MAX: usize = PIECE_BYTES + 1_024;

/// What a file holds; a file of one kind never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A base of the lists.
    Base,
    /// Rows that wait for approval.
    Held,
    /// Rows that are being received.
    Spool,
}

impl Kind {
    /// FENCE (sealed files): part of what each piece is sealed to.
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Base => b"base",
            Self::Held => b"held",
            Self::Spool => b"spool",
        }
    }
}

const FOLLOWED: u8 = 0;
const LAST: u8 = 1;

/// The place of the next piece.
struct Place {
    kind: Kind,
    file: [u8; 16],
    number: u64,
}

impl Place {
    /// What the next piece is sealed to.
    fn next(&mut self, tag: u8) -> Vec<u8> {
        let mut context = self.kind.name().to_vec();
        context.push(0);
        context.extend_from_slice(&self.file);
        context.extend_from_slice(&self.number.to_le_bytes());
        context.push(tag);
        self.number += 1;
        context
    }
}

/// Whether a file is sealed, by its first bytes.
pub(crate) fn is_sealed(head: &[u8]) -> bool {
    head.get(..MAGIC.len()) == Some(&MAGIC[..])
}

/// Under which number of the key a file was sealed, by its first bytes.
pub(crate) fn key_of(head: &[u8]) -> Option<u32> {
    let number = head.get(24..HEAD_BYTES)?.first_chunk::<4>()?;
    is_sealed(head).then(|| u32::from_le_bytes(*number))
}

/// The first bytes of a file, enough for [`is_sealed`] and [`key_of`]; fewer of a shorter one.
pub(crate) fn head_of(from: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    from.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Seals what is written, piece by piece.
pub(crate) struct SealedWriter<W> {
    to: W,
    sealer: Sealer,
    place: Place,
    /// Not sealed yet.
    waiting: Vec<u8>,
}

impl<W: Write> SealedWriter<W> {
    /// Begins a file.
    pub(crate) fn new(mut to: W, sealer: &Sealer, kind: Kind) -> io::Result<Self> {
        let file = *Uuid::new_v4().as_bytes();
        to.write_all(&MAGIC)?;
        to.write_all(&file)?;
        to.write_all(&sealer.key_id().to_le_bytes())?;
        Ok(Self {
            to,
            sealer: sealer.clone(),
            place: Place {
                kind,
                file,
                number: 0,
            },
            waiting: Vec::with_capacity(PIECE_BYTES),
        })
    }

    /// Seals what waits, and the last bytes, without which the file is not whole.
    pub(crate) fn end(mut self, last: &[u8]) -> io::Result<W> {
        self.seal_waiting()?;
        self.put(LAST, last)?;
        Ok(self.to)
    }

    /// Where it is written to.
    pub(crate) const fn get_ref(&self) -> &W {
        &self.to
    }

    /// What it is sealed with.
    pub(crate) const fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// How many pieces were written.
    pub(crate) const fn pieces(&self) -> u64 {
        self.place.number
    }

    /// What is written and not sealed yet.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    fn seal_waiting(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.waiting);
        let put = self.put(FOLLOWED, &piece);
        self.waiting = piece;
        self.waiting.clear();
        put
    }

    fn put(&mut self, tag: u8, plain: &[u8]) -> io::Result<()> {
        let sealed = self.sealer.seal(&self.place.next(tag), plain);
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.to.write_all(&[tag])?;
        self.to.write_all(&length.to_le_bytes())?;
        self.to.write_all(&sealed)
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE_BYTES - self.waiting.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.waiting.extend_from_slice(taken);
        if self.waiting.len() == PIECE_BYTES {
            self.seal_waiting()?;
        }
        Ok(taken.len())
    }

    /// Passes on what is sealed; less than a piece waits for more, or for the end.
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W> std::fmt::Debug for SealedWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedWriter")
            .field("kind", &self.place.kind)
            .field("pieces", &self.place.number)
            .finish_non_exhaustive()
    }
}

/// Where a reader stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// At the last piece, which must be there.
    Last,
    /// After so many pieces of a file that is still written to.
    Pieces(u64),
}

/// Opens what a [`SealedWriter`] wrote.
pub(crate) struct SealedReader<R> {
    from: R,
    sealer: Sealer,
    place: Place,
    until: Until,
    plain: Vec<u8>,
    /// How much of it was read.
    read: usize,
    last: Option<Vec<u8>>,
}

impl<R: Read> SealedReader<R> {
    /// Begins to read a whole file.
    ///
    /// # Errors
    /// When it cannot be read, or is no sealed file.
    pub(crate) fn new(from: R, sealer: &Sealer, kind: Kind) -> io::Result<Self> {
        Self::begin(from, sealer, kind, Until::Last)
    }

    /// Begins to read so many pieces of a file that is still written to.
    ///
    /// # Errors
    /// As [`SealedReader::new`].
    pub(crate) fn of_pieces(from: R, sealer: &Sealer, kind: Kind, pieces: u64) -> io::Result<Self> {
        Self::begin(from, sealer, kind, Until::Pieces(pieces))
    }

    fn begin(mut from: R, sealer: &Sealer, kind: Kind, until: Until) -> io::Result<Self> {
        let mut head = [0; HEAD_BYTES];
        from.read_exact(&mut head)?;
        let file = head.get(8..24).and_then(|id| id.first_chunk::<16>());
        let Some(file) = file.filter(|_| is_sealed(&head)) else {
            return Err(damaged("it is no sealed file of this version"));
        };
        let place = Place {
            kind,
            file: *file,
            number: 0,
        };
        Ok(Self {
            from,
            sealer: sealer.clone(),
            place,
            until,
            plain: Vec::new(),
            read: 0,
            last: None,
        })
    }

    /// What stands in the last piece, once everything was read.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.last.as_deref()
    }

    fn has_ended(&self) -> bool {
        self.last.is_some() || self.until == Until::Pieces(self.place.number)
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let (mut tag, mut length) = ([0; 1], [0; 4]);
        self.from.read_exact(&mut tag)?;
        self.from.read_exact(&mut length)?;
        let [tag] = tag;
        let length = u32::from_le_bytes(length) as usize;
        if length > SEALED_BYTES_MAX || tag > LAST {
            return Err(damaged("a piece of it has no sound head"));
        }
        let mut sealed = vec![0; length];
        self.from.read_exact(&mut sealed)?;
        let plain = self
            .sealer
            .open(&self.place.next(tag), &sealed)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        match tag {
            LAST if self.from.read(&mut [0; 1])? > 0 => {
                return Err(damaged("something stands behind its last piece"));
            }
            LAST => self.last = Some(plain),
            _ => (self.plain, self.read) = (plain, 0),
        }
        Ok(())
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.plain.len() {
            if self.has_ended() {
                return Ok(0);
            }
            self.next_piece()?;
        }
        let rest = self.plain.get(self.read..).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.read += count;
        Ok(count)
    }
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests;
