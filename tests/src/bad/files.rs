//! Files that sources send: tables, workbooks, JSON Lines, archives; and the files that explain them.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use creditgate_proto::v1;
use creditgate_registry::files::{self, Format, Mapping, Options, Participant, Record, Row};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::{choice, shows_nobody};

/// What the name of a file says of it, or nothing.
const NAMES: [&str; 6] = ["a.csv", "a.jsonl", "a", "a.xlsx", "a.zip", "a.csv.gz"];

/// What may come out of an archive here: inputs are small, so more is a bomb.
const UNPACKED_BYTES_MAX: u64 = 4 << 20;

thread_local! {
    static PLACE: RefCell<TempDir> = RefCell::new(directory());
}

fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    }
    .expect("a directory")
}

/// One byte for the name, then any bytes.
pub fn any(input: &[u8]) {
    let (first, bytes) = choice(input);
    let name = NAMES[usize::from(first) % NAMES.len()];
    read_both(name, bytes, &Options::default());
    let lenient = Options {
        ignore_unknown: true,
        ..Options::default()
    };
    read_both(name, bytes, &lenient);
}

/// Rows under the columns that entries have, or those of the usual layouts.
pub fn table(input: &[u8]) {
    const HEADERS: [&str; 4] = [
        "entry_id,list,id_type,id,name,valid_from,valid_to,state\n",
        "主体名称\t统一社会信用代码\t列入日期\t列入事由\t认定部门\n",
        "entry_id;list;name;former_names;scope;severity;kind;repeat_count\n",
        "姓名,身份证号,法定代表人,法定代表人证件号码,决定日期,移出日期,区划\n",
    ];
    let (first, rows) = choice(input);
    let header = HEADERS[usize::from(first) % HEADERS.len()];
    let bytes = [header.as_bytes(), rows].concat();
    read_both("a.csv", &bytes, &Options::default());
}

/// The parts of a workbook behind each other, each behind a line `%%`: sheet, texts, book, styles.
pub fn workbook(input: &[u8]) {
    const BOOK: &[u8] = br#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    const STYLES: &[u8] = br#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#;
    const RELATIONS: &[u8] = br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="rId3" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#;
    let mut parts = split(input, b"\n%%\n").into_iter();
    let mut next = |or: &'static [u8]| match parts.next() {
        Some(part) if !part.is_empty() => part.to_vec(),
        _ => or.to_vec(),
    };
    let (sheet, texts) = (next(b"<worksheet/>"), next(b"<sst/>"));
    let (book, styles) = (next(BOOK), next(STYLES));
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [
        ("[Content_Types].xml", b"<Types/>".as_slice()),
        ("xl/_rels/workbook.xml.rels", RELATIONS),
        ("xl/workbook.xml", &book),
        ("xl/styles.xml", &styles),
        ("xl/sharedStrings.xml", &texts),
        ("xl/worksheets/sheet1.xml", &sheet),
    ] {
        archive.start_file(name, stored).expect("a part");
        archive.write_all(bytes).expect("its bytes");
    }
    let bytes = archive.finish().expect("an archive").into_inner();
    read_both("a.xlsx", &bytes, &Options::default());
}

fn split<'a>(input: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let (mut parts, mut rest) = (Vec::new(), input);
    while let Some(at) = rest.windows(by.len()).position(|part| part == by) {
        parts.push(&rest[..at]);
        rest = &rest[at + by.len()..];
    }
    parts.push(rest);
    parts
}

/// A file of entries is also asked for participants: the readers are the same.
fn read_both(name: &str, bytes: &[u8], options: &Options) {
    PLACE.with_borrow(|place| {
        let path = place.path().join(name);
        fs::write(&path, bytes).expect("a file");
        let entries = read::<v1::Entry>(&path, options);
        assert_eq!(entries, read::<v1::Entry>(&path, options), "twice the same");
        as_json_lines(place.path(), &entries);
        read::<Participant>(&path, options);
        assert!(files::ending(&path).is_ok(), "its ending can be told");
        drop(fs::remove_file(&path));
    });
}

/// The rows that are sound, after the promises about the others were checked.
fn read<T: Record>(path: &Path, options: &Options) -> Vec<T> {
    let options = Options {
        unpacked_bytes_max: UNPACKED_BYTES_MAX,
        progress: std::sync::Arc::default(),
        ..options.clone()
    };
    let (mut sound, mut last) = (Vec::new(), 0);
    let mut on_row = |row: Row<T>| {
        // A row that ends with a lone carriage return shares its line with the next.
        assert!(row.number >= last, "rows are numbered in their order");
        last = row.number;
        match row.entry {
            Ok(entry) => sound.push(entry),
            Err(refused) => {
                assert!(!refused.violations.is_empty(), "refused without a reason");
                for violation in &refused.violations {
                    // A header may be shown: it has to be found in the file.
                    let rule = violation.rule.rsplit("`: ").next().unwrap_or_default();
                    shows_nobody("a refused row", rule);
                }
            }
        }
        ControlFlow::Continue(())
    };
    let read = files::read(
        &[PathBuf::from(path)],
        &options,
        &mut on_row,
        &mut |_, _| (),
    );
    if let Err(failed) = read {
        assert!(!failed.error.to_string().is_empty());
        assert!(
            failed.error.is_of_the_file(),
            "the file is at fault and not the system: {}",
            failed.error
        );
    }
    sound
}

/// What was read from any file is read from JSON Lines as the same.
fn as_json_lines(dir: &Path, entries: &[v1::Entry]) {
    if entries.is_empty() {
        return;
    }
    let mut text = Vec::new();
    for entry in entries {
        let line = serde_json::to_vec(entry).expect("an entry is written");
        // A longer line is refused, whatever it says.
        if line.len() >= 1 << 20 {
            return;
        }
        text.extend(line);
        text.push(b'\n');
    }
    let path = dir.join("again.jsonl");
    fs::write(&path, text).expect("a file");
    let options = Options {
        format: Some(Format::JsonLines),
        ..Options::default()
    };
    assert_eq!(read::<v1::Entry>(&path, &options), entries);
    drop(fs::remove_file(&path));
}

/// A file that says what columns mean.
pub fn mapping(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Mapping::parse::<v1::Entry>(&text) {
        Ok(mapping) => {
            let options = Options {
                mapping,
                mapped: true,
                ..Options::default()
            };
            let table = "企业名称,处罚文号,备注,name\n样例,PP9999,2026.01.05,x\n";
            read_both("a.csv", table.as_bytes(), &options);
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            assert!(faults.iter().all(|fault| fault.starts_with("line ")));
        }
    }
    drop(Mapping::parse::<Participant>(&text));
}
