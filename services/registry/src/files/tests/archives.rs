//! Compressed files, and several in one archive.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("bytes");
    out.finish().expect("its end")
}

pub(super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        out.start_file(*name, SimpleFileOptions::default())
            .expect("a member");
        out.write_all(bytes).expect("its bytes");
    }
    out.finish().expect("its end").into_inner()
}

fn book(name: &str) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "主体名称").expect("a cell");
    sheet.write(1, 0, name).expect("a cell");
    book.save_to_buffer().expect("a workbook")
}

#[test]
fn compressed_files_are_told_by_their_bytes() {
    let csv = "主体名称\n示例\n".as_bytes();
    let json = b"{\"name\":\"n\"}\n";
    for (name, bytes) in [
        ("a.csv.gz", gz(csv)),
        ("a", gz(csv)),
        ("a.dat", zip(&[("a.csv", csv)])),
        ("a.csv", gz(&zip(&[("a.csv", csv)]))),
        ("a.zip", zip(&[("a.csv.gz", &gz(csv))])),
        ("a.gz", gz(&book("示例"))),
    ] {
        assert_eq!(
            shown(name, &bytes, &Options::default()),
            "2   示例",
            "{name}"
        );
    }
    assert_eq!(shown("a.jsonl.gz", &gz(json), &Options::default()), "1   n");
}

#[test]
fn the_files_of_an_archive_are_read_one_after_the_other() {
    let csv = "主体名称\n甲\n乙\n".as_bytes();
    let bytes = zip(&[
        ("b.xlsx", &book("丙")),
        ("a.csv", csv),
        ("__MACOSX/a.csv", b"x"),
        (".DS_Store", b"x"),
        ("c/a.jsonl", b"\n{\"name\":\"d\"}"),
    ]);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&bytes).expect("its bytes");
    let rows = read_all(file.path(), &Options::default()).expect("readable");
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let (_, member) = row.file.split_once('/').expect("a member");
            (row.number, member, row.line)
        })
        .collect();
    assert_eq!(
        told,
        [
            (2, "a.csv", 2),
            (3, "a.csv", 3),
            (5, "b.xlsx", 2),
            (7, "c/a.jsonl", 2)
        ]
    );
    let mut places = report::Places::default();
    rows.iter().for_each(|row| places.note(row));
    for row in &rows {
        assert_eq!(places.of(row.number), (&*row.file, row.line));
    }
    assert_eq!(places.of(0), ("", 0));
}

#[test]
fn an_archive_that_unpacks_to_more_than_it_may_is_refused_without_filling_memory() {
    let many = "主体名称\n".to_owned() + &"示例\n".repeat(1 << 20);
    let options = |most| Options {
        unpacked_bytes_max: most,
        ..Options::default()
    };
    for bytes in [gz(many.as_bytes()), zip(&[("a.csv", many.as_bytes())])] {
        let told = shown("a", &bytes, &options(1 << 20));
        assert!(
            told.contains("more than 1048576 bytes come out of the archive"),
            "{told}"
        );
    }
    let told = shown("a.xlsx", &book(&"示".repeat(10_000)), &options(4 << 10));
    assert!(told.contains("more than 4096 bytes"), "{told}");
}

#[test]
fn archives_within_archives_have_an_end() {
    let csv = "主体名称\n示例\n".as_bytes();
    let deep = gz(&gz(&gz(csv)));
    let told = shown("a", &deep, &Options::default());
    assert!(told.contains("unpack it first"), "{told}");
    let deep = zip(&[("a.zip", &zip(&[("b.zip", &zip(&[("c.csv", csv)]))]))]);
    let told = shown("a", &deep, &Options::default());
    assert!(told.contains("unpack it first"), "{told}");
}

#[test]
fn damaged_archives_are_told_and_nothing_more_is_read() {
    let csv = format!("主体名称\n{}", "示例\n".repeat(1_000));
    let check = |mut bytes: Vec<u8>, name: &str| {
        bytes.truncate(bytes.len() / 2);
        let told = shown(name, &bytes, &Options::default());
        assert!(told.starts_with("cut off: "), "{name}: {told}");
    };
    check(gz(csv.as_bytes()), "a.csv.gz");
    check(zip(&[("a.csv", csv.as_bytes())]), "a.zip");
    check(book("示例"), "a.xlsx");
    let mut flipped = zip(&[("a.csv", csv.as_bytes())]);
    flipped[60] ^= 0xFF;
    let told = shown("a.zip", &flipped, &Options::default());
    assert!(told.contains("`a.csv` in it: damaged"), "{told}");
    assert_eq!(
        shown("a.zip", &zip(&[]), &Options::default()),
        "nothing is in it"
    );
}

#[test]
fn how_a_file_ends_is_told_by_its_last_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |bytes: &[u8], expected| {
        let path = dir.path().join("a");
        std::fs::write(&path, bytes).expect("a file");
        assert_eq!(ending(&path).expect("readable"), expected, "{bytes:?}");
    };
    for text in ["a\n", "a\r\n", "a\r", "\n"] {
        check(text.as_bytes(), Ending::Whole);
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&wide, Ending::Whole);
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&wide, Ending::Whole);
    }
    for text in ["", "a", "a\n1", "a\n\0\0\0"] {
        check(text.as_bytes(), Ending::NoLineEnd);
    }
    check(&gz(b"a"), Ending::Whole);
    for whole in [book("示例"), zip(&[("a.csv", b"a")]), zip(&[])] {
        check(&whole, Ending::Whole);
        for missing in 1..whole.len() - 4 {
            check(&whole[..whole.len() - missing], Ending::CutOff);
        }
    }
}

#[test]
fn texts_that_announce_more_than_they_hold_are_refused() {
    let sheet = b"<worksheet><sheetData/></worksheet>";
    let strings = b"<sst uniqueCount=\"99999999999999\"></sst>";
    let bytes = zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/sharedStrings.xml", strings),
        ("xl/worksheets/sheet1.xml", sheet),
    ]);
    let told = shown("a.xlsx", &bytes, &Options::default());
    assert!(
        told.contains("announces more texts than it holds"),
        "{told}"
    );
}
