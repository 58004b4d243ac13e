//! Any bytes: an answer, never a panic.

use proptest::prelude::*;

use super::archives::{gz, zip};
use super::*;

fn workbook() -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for row in 0..20 {
        sheet
            .write(row, 0, if row == 0 { "主体名称" } else { "示例" })
            .expect("a cell");
        sheet.write(row, 1, f64::from(row)).expect("a cell");
    }
    book.save_to_buffer().expect("a workbook")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        shown("a", &bytes, &Options::default());
        shown("a.csv", &[b"entry_id,list\n", bytes.as_slice()].concat(), &Options::default());
        shown("a.jsonl", &bytes, &Options::default());
        shown("a", &[b"PK\x03\x04", bytes.as_slice()].concat(), &Options::default());
        shown("a", &[b"\xFF\xFE", bytes.as_slice()].concat(), &Options::default());
        shown("a", &gz(&bytes), &Options::default());
        let parts = zip(&[
            ("[Content_Types].xml", b"<Types/>".as_slice()),
            ("xl/sharedStrings.xml", bytes.as_slice()),
            ("xl/worksheets/sheet1.xml", bytes.as_slice()),
        ]);
        shown("a.xlsx", &parts, &Options::default());
    }

    #[test]
    fn a_damaged_workbook_or_archive_gets_an_answer(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let damaged = |mut bytes: Vec<u8>| {
            for (at, byte) in &places {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            shown("a", &bytes, &Options::default())
        };
        damaged(workbook());
        damaged(zip(&[("a.csv", "主体名称\n示例\n".as_bytes())]));
        damaged(gz("主体名称\n示例\n".as_bytes()));
    }

    #[test]
    fn any_cell_gets_an_answer(cell in "\\PC{0,40}") {
        let cell = values::Cell::Text(cell);
        let fields = || headers::HEADERS.iter().map(|(field, _)| *field).filter(|field| *field != "ignore");
        let all = fields().map(|field| (field, &cell));
        let _ = entry::entry(all, &Mapping::default());
        for field in fields() {
            let _ = entry::entry(std::iter::once((field, &cell)), &Mapping::default());
        }
    }
}
