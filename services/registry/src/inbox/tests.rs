//! Facts about the watched folder that need no service: what a source may say, which files are looked at.

use super::folder::{files, folders};
use super::source::Source;

fn said(text: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(super::SOURCE_FILE);
    std::fs::write(&path, text).expect("a file");
    std::fs::write(dir.path().join("map.yaml"), "columns: {公司: name}\n").expect("a file");
    match Source::load(&path) {
        Err(why) => why,
        Ok(source) => {
            let header = source.header();
            format!(
                "{} {} {} {} confirms {:?} {}",
                header.source_unit,
                header.list,
                header.mode,
                header.on_error,
                header.confirm_lists,
                header.confirm_named_lists
            )
        }
    }
}

#[test]
fn a_source_says_how_its_files_are_taken() {
    let check = |text: &str, expected: &str| {
        let told = said(text);
        assert!(told.starts_with(expected), "{told}");
    };
    check(
        "source_unit: 示例法院\n",
        "示例法院  delta hold confirms [] true",
    );
    check(
        "source_unit: 示例法院\nlist: 失信被执行人名单\nmode: full\non_error: skip\nconfirm: [B01]\n\
         confirm_named: false\nencoding: gbk\nsheet: 名单\nmapping:\n  columns: {公司: name}\n",
        "示例法院 失信被执行人名单 full skip confirms [\"B01\"] false",
    );
    check("source_unit: a\nmapping_file: map.yaml\n", "a  delta");
    check(
        "source_unit: a\nmapping_file: none.yaml\n",
        "`source.yaml`: read the mapping file",
    );
    check(
        "source_unit: a\nmapping_file: map.yaml\nmapping: {ignore: [x]}\n",
        "`source.yaml`: line 2: give `mapping` or `mapping_file`",
    );
    check(
        "source_unit: a\nmapping:\n  columns: {公司: nmae}\n",
        "`source.yaml`: line 3: no field `nmae`",
    );
    check(
        "source_unit: a\nencoding: latin1\n",
        "`source.yaml`: line 2: encoding: known are utf-8",
    );
    check("source_unit: a\nmode: whole\n", "`source.yaml`: line 2: ");
    check("source_unti: a\n", "`source.yaml`: line 1: ");
    check("list: B01\n", "`source.yaml`: line 1: ");
}

#[test]
fn a_folder_without_a_source_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let told = Source::load(&dir.path().join(super::SOURCE_FILE)).expect_err("missing");
    assert!(
        told.starts_with("`source.yaml` is missing; it says whose files these are"),
        "{told}"
    );
}

#[test]
fn a_file_tells_of_when_it_was_last_changed_and_never_of_the_future() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let now = std::time::SystemTime::now();
    let hour = std::time::Duration::from_secs(3_600);
    let told = |changed| {
        file.as_file().set_modified(changed).expect("set");
        super::take::stated_at(file.path())
    };
    let since = (now - hour).duration_since(std::time::UNIX_EPOCH);
    let micros = since.expect("after 1970").as_micros();
    assert_eq!(
        told(now - hour).map(|at| i128::from(at.micros())),
        i128::try_from(micros).ok()
    );
    assert_eq!(told(now + hour), None);
}

#[test]
fn files_are_looked_at_by_name_and_unfinished_ones_are_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("court");
    std::fs::create_dir_all(source.join("done")).expect("a folder");
    std::fs::create_dir(dir.path().join(".hidden")).expect("a folder");
    for name in [
        "b.csv",
        "a.xlsx",
        "c.csv.part",
        "c.csv.PART",
        "c.csv.partial",
        "c.xlsx.crdownload",
        "c.csv~",
        ".d.csv",
        "~$a.xlsx",
        "source.yaml",
        "map.yml",
        "e.tmp",
        "done/f.csv",
    ] {
        std::fs::write(source.join(name), "x").expect("a file");
    }
    std::os::unix::fs::symlink("/etc/hostname", source.join("link.csv")).expect("a link");
    let names: Vec<_> = files(&source)
        .expect("readable")
        .iter()
        .map(|(path, _)| {
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(names, ["a.xlsx", "b.csv"]);
    assert_eq!(folders(dir.path()).expect("readable"), [source]);
}
