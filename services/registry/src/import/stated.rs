//! What a row leaves open and the registry fills in before it is judged: the list by its name, the
//! source, an id.

use creditgate_measures::book::Book;
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::name::NormalName;
use creditgate_proto::{Refused, v1};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

/// Lists by what people write: code or Chinese name, in normal form.
#[derive(Debug)]
pub(crate) struct ListNames {
    /// The code, or none where two lists bear the name.
    by_name: FxHashMap<String, Option<String>>,
}

impl ListNames {
    /// The names of a book's lists.
    pub fn of(book: &Book) -> Self {
        let mut by_name: FxHashMap<String, Option<String>> = FxHashMap::default();
        for list in book.lists() {
            let Some(name) = stem(&list.name.zh, book) else {
                continue;
            };
            by_name
                .entry(name)
                .and_modify(|code| *code = None)
                .or_insert_with(|| Some(list.code.as_str().to_owned()));
        }
        Self { by_name }
    }

    /// Puts the code in the place of a name; what is neither stays, and is refused by the rules of
    /// lists.
    pub fn resolve(&self, list: &mut String, book: &Book) -> Result<(), Refused> {
        if list.is_empty() || book.list(list).is_some() {
            return Ok(());
        }
        match stem(list, book).and_then(|name| self.by_name.get(&name)) {
            Some(Some(code)) => list.clone_from(code),
            Some(None) => {
                let rule = "several lists of the book bear this name; give the code of one";
                return Err(Refused::one("list", rule));
            }
            None => {}
        }
        Ok(())
    }
}

/// A list's name in normal form, without the word for a list at its end, which some leave out.
fn stem(name: &str, book: &Book) -> Option<String> {
    let name = NormalName::new(name, book.simplify())?;
    let name = name.reveal();
    let stem = ["名单", "名录"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    Some(
        stem.filter(|stem| !stem.is_empty())
            .unwrap_or(name)
            .to_owned(),
    )
}

/// The id of an entry whose source gives none: always the same for the same decision about the same
/// subject, so that the row finds its entry again.
///
/// With a document number the source does not count: two sources that report one decision speak of
/// one entry. Without one, source, first day and authority stand in its place.
pub(crate) fn derived_id(entry: &v1::Entry, book: &Book) -> String {
    let identifier = IdType::parse(&entry.id_type)
        .and_then(|id_type| {
            let issuer = (!entry.issuer.is_empty()).then_some(entry.issuer.as_str());
            Identifier::parse(id_type, &entry.id, issuer).ok()
        })
        .map(|identifier| format!("{:016x}", identifier.key().0));
    let subject = identifier
        .or_else(|| {
            NormalName::new(&entry.name, book.simplify()).map(|name| name.reveal().to_owned())
        })
        .unwrap_or_else(|| entry.id.clone());
    // However its brackets and blanks are written.
    let document = NormalName::new(&entry.document_no, book.simplify());
    let decision = match &document {
        Some(document) => ["document", document.reveal(), "", ""],
        None => [
            "undocumented",
            &entry.source_unit,
            &entry.valid_from,
            &entry.designated_by,
        ],
    };
    let mut hash = Sha256::new();
    for part in [entry.list.as_str(), &subject].into_iter().chain(decision) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let short: String = digest.iter().take(10).map(|b| format!("{b:02x}")).collect();
    format!("{}-{short}", entry.list)
}
