//! Names of organisations in the one normal form in which they are compared (spec section 2, rule 3).
//!
//! A name is a second key only: a hit by name never stops anybody by itself, and natural persons
//! are never looked up by name.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// Traditional characters and the simplified one each becomes; part of the book.
///
/// INVARIANT (one step): no simplified character of the table is also a traditional one of it, and
/// no character of it is touched by the other steps of the normal form. So a normal form is its own
/// normal form.
#[derive(Clone, Default)]
pub struct SimplifyTable {
    /// For look-up only; nothing iterates it, so its order reaches no output.
    simplified: FxHashMap<char, char>,
    content_hash: [u8; 32],
}

/// Why a table of traditional and simplified characters is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct NameTableError {
    /// The line at fault, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: NameTableReason,
}

/// What is wrong with a line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameTableReason {
    /// Not two single characters.
    #[error("expected one traditional character, a space and one simplified character")]
    Form,
    /// Both characters are the same.
    #[error("`{0}` becomes itself; remove the line")]
    Same(char),
    /// The traditional character has an earlier line.
    #[error("`{0}` has a line already; keep one")]
    Twice(char),
    /// The simplified character is itself listed as traditional.
    #[error("`{0}` is a result here and has a line of its own; one of the two must go")]
    Chain(char),
    /// The character is rewritten by another step of the normal form.
    #[error("`{0}` is not an ideograph that stays as it is under NFKC")]
    NotAnIdeograph(char),
}

impl SimplifyTable {
    /// A table that changes nothing.
    pub fn empty() -> SimplifyTable {
        SimplifyTable {
            simplified: FxHashMap::default(),
            content_hash: Sha256::digest(b"").into(),
        }
    }

    /// Reads one pair a line (`繁 简`); blank lines and lines beginning with `#` say nothing.
    pub fn parse(text: &str) -> Result<SimplifyTable, NameTableError> {
        let mut pairs: Vec<(usize, char, char)> = Vec::new();
        let mut simplified = FxHashMap::default();
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let refuse = |reason| NameTableError { line, reason };
            let (from, to) = pair(content).ok_or(refuse(NameTableReason::Form))?;
            if let Some(stray) = [from, to].into_iter().find(|c| !is_stable_ideograph(*c)) {
                return Err(refuse(NameTableReason::NotAnIdeograph(stray)));
            }
            if from == to {
                return Err(refuse(NameTableReason::Same(from)));
            }
            if simplified.insert(from, to).is_some() {
                return Err(refuse(NameTableReason::Twice(from)));
            }
            pairs.push((line, from, to));
        }
        if let Some((line, _, to)) = pairs.iter().find(|(_, _, to)| simplified.contains_key(to)) {
            return Err(NameTableError {
                line: *line,
                reason: NameTableReason::Chain(*to),
            });
        }
        Ok(SimplifyTable {
            simplified,
            content_hash: hash_of(pairs),
        })
    }

    /// SHA-256 over the pairs in the order of their traditional characters, `繁 简\n` each, in UTF-8:
    /// the same for any order of lines and any comments. Part of the book version.
    pub fn content_hash(&self) -> [u8; 32] {
        self.content_hash
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.simplified.len()
    }

    /// Whether the table changes nothing.
    pub fn is_empty(&self) -> bool {
        self.simplified.is_empty()
    }

    /// The simplified character for a traditional one; any other character itself.
    pub fn simplify(&self, character: char) -> char {
        self.simplified
            .get(&character)
            .copied()
            .unwrap_or(character)
    }
}

impl fmt::Debug for SimplifyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimplifyTable({} pairs)", self.len())
    }
}

fn pair(line: &str) -> Option<(char, char)> {
    let mut words = line.split_whitespace();
    let pair = (single(words.next()?)?, single(words.next()?)?);
    words.next().is_none().then_some(pair)
}

fn single(word: &str) -> Option<char> {
    let mut characters = word.chars();
    let first = characters.next()?;
    characters.next().is_none().then_some(first)
}

fn is_stable_ideograph(character: char) -> bool {
    let ideograph = matches!(character, '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}');
    ideograph && std::iter::once(character).nfkc().eq([character])
}

fn hash_of(mut pairs: Vec<(usize, char, char)>) -> [u8; 32] {
    pairs.sort_unstable_by_key(|(_, from, _)| *from);
    let mut hash = Sha256::new();
    let mut buffer = [0_u8; 4];
    for (_, from, to) in pairs {
        for character in [from, ' ', to, '\n'] {
            hash.update(character.encode_utf8(&mut buffer).as_bytes());
        }
    }
    hash.finalize().into()
}

/// A name in normal form; never empty. Prints masked, [`NormalName::reveal`] shows it.
///
/// Normal form: NFKC, all kinds of brackets to `(` and `)`, white space and invisible characters
/// removed, Latin letters upper-case, traditional characters to simplified ones by the table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NormalName(Arc<str>);

impl NormalName {
    /// The normal form of `raw`, or `None` when nothing of it remains.
    pub fn new(raw: &str, table: &SimplifyTable) -> Option<NormalName> {
        let normal = match plain(raw, table) {
            Some(normal) => normal,
            None => careful(raw, table),
        };
        (!normal.is_empty()).then(|| NormalName(Arc::from(normal)))
    }

    /// The name in clear, to compare it or to show it to someone entitled to see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The name with most of it hidden, for logs (see [`mask_name`]). Whose name it is is not known
    /// here, so it hides as much as a person's.
    pub fn masked(&self) -> String {
        mask_name(&self.0, true)
    }
}

/// The normal form where every character can be treated by itself: ideographs, ASCII, full-width
/// ASCII and the common brackets. Most names take this way.
fn plain(raw: &str, table: &SimplifyTable) -> Option<String> {
    let mut normal = String::with_capacity(raw.len());
    for character in raw.chars() {
        let character = match character {
            '\u{4E00}'..='\u{9FFF}' => {
                normal.push(table.simplify(character));
                continue;
            }
            '\u{FF01}'..='\u{FF5E}' => narrow(character)?,
            '\u{0}'..='\u{7F}' | '\u{3000}' => character,
            bracket if bracket_to_ascii(bracket) != bracket => bracket,
            _ => return None,
        };
        if !character.is_whitespace() {
            normal.push(bracket_to_ascii(character).to_ascii_uppercase());
        }
    }
    Some(normal)
}

/// A full-width form of U+FF01 to U+FF5E as the ASCII character it stands for.
fn narrow(character: char) -> Option<char> {
    u32::from(character)
        .checked_sub(0xFEE0)
        .and_then(char::from_u32)
}

/// The normal form of any text. Removing a space can bring two characters together that NFKC
/// composes, so the steps are repeated until nothing changes.
fn careful(raw: &str, table: &SimplifyTable) -> String {
    const ROUNDS_MAX: usize = 8;
    let mut normal = careful_once(raw, table);
    for _ in 0..ROUNDS_MAX {
        let next = careful_once(&normal, table);
        if next == normal {
            break;
        }
        normal = next;
    }
    normal
}

fn careful_once(raw: &str, table: &SimplifyTable) -> String {
    let mut normal = String::with_capacity(raw.len());
    for character in raw.nfkc() {
        if character.is_whitespace() || is_invisible(character) {
            continue;
        }
        if is_latin(character) {
            normal.extend(character.to_uppercase());
        } else {
            normal.push(table.simplify(bracket_to_ascii(character)));
        }
    }
    normal.nfkc().collect()
}

/// Characters nobody can see, which copying from web pages leaves in names.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{00AD}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}'
    )
}

fn is_latin(character: char) -> bool {
    character.is_alphabetic() && matches!(character, '\0'..='\u{024F}' | '\u{1E00}'..='\u{1EFF}')
}

fn bracket_to_ascii(character: char) -> char {
    match character {
        '(' | '[' | '{' | '<' | '«' | '‹' | '⁅' | '⟦' | '⟨' | '⟪' | '⟬' | '⟮' | '⦃' | '⦅' | '⦗'
        | '❨' | '❪' | '❬' | '❰' | '❲' | '❴' | '〈' | '《' | '「' | '『' | '【' | '〔' | '〖'
        | '〘' | '〚' | '（' | '［' | '｛' | '＜' | '｟' | '｢' | '﴾' => '(',
        ')' | ']' | '}' | '>' | '»' | '›' | '⁆' | '⟧' | '⟩' | '⟫' | '⟭' | '⟯' | '⦄' | '⦆' | '⦘'
        | '❩' | '❫' | '❭' | '❱' | '❳' | '❵' | '〉' | '》' | '」' | '』' | '】' | '〕' | '〗'
        | '〙' | '〛' | '）' | '］' | '｝' | '＞' | '｠' | '｣' | '﴿' => ')',
        other => other,
    }
}

/// A name with most of it hidden, for logs: of a natural person the first character and `＊`, of an
/// organisation the first two and the last two characters around `＊`; an organisation's name of at
/// most five characters is hidden like a person's. The length is not shown.
pub fn mask_name(name: &str, natural_person: bool) -> String {
    let name = name.trim();
    let length = name.chars().count();
    let shown = if natural_person || length <= 5 { 1 } else { 2 };
    let mut masked: String = name.chars().take(shown).collect();
    if length > 0 {
        masked.push('＊');
    }
    if shown == 2 {
        masked.extend(name.chars().skip(length.saturating_sub(2)));
    }
    masked
}

impl fmt::Display for NormalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for NormalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NormalName({})", self.masked())
    }
}

/// Writes the name in clear: what it is written to has to be entitled to it.
impl Serialize for NormalName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Accepts only text that is a normal form already, whatever the table.
impl<'de> Deserialize<'de> for NormalName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NormalName, D::Error> {
        let text = String::deserialize(deserializer)?;
        NormalName::new(&text, &SimplifyTable::empty())
            .filter(|name| name.reveal() == text)
            .ok_or_else(|| serde::de::Error::custom("not a name in normal form"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CATALOGUE: &str = include_str!("../catalogue/names/simplify.txt");

    fn catalogue() -> SimplifyTable {
        SimplifyTable::parse(CATALOGUE).expect("the catalogue's table")
    }

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        let name = NormalName::new(raw, &catalogue());
        assert_eq!(
            name.as_ref().map_or("none", NormalName::reveal),
            expected,
            "{raw}"
        );
    }

    #[track_caller]
    fn check_refused(table: &str, expected: &str) {
        let shown =
            SimplifyTable::parse(table).map_or_else(|e| e.to_string(), |t| format!("{t:?}"));
        assert_eq!(shown, expected, "{table}");
    }

    #[test]
    fn spellings_of_one_name_have_one_normal_form() {
        let normal = "辽宁样例建设(集团)有限公司";
        check(normal, normal);
        check("辽宁样例建设（集团）有限公司", normal);
        check("遼寧樣例建設（集團）有限公司", normal);
        check("辽宁样例建设〔集团〕有限公司", normal);
        check("辽宁样例建设【集团】有限公司", normal);
        check("辽宁样例建设［集团］有限公司", normal);
        check("辽宁样例建设〖集团〗有限公司", normal);
        check("辽宁样例建设「集团」有限公司", normal);
        check("辽宁样例建设『集团』有限公司", normal);
        check("辽宁样例建设《集团》有限公司", normal);
        check("辽宁样例建设〈集团〉有限公司", normal);
        check("辽宁样例建设{集团}有限公司", normal);
        check("辽宁样例建设︵集团︶有限公司", normal);
        check(" 辽宁 样例\u{3000}建设(集团)\t有限公司\n", normal);
        check("\u{FEFF}辽宁样例\u{200B}建设(集团)有限公司", normal);
    }

    #[test]
    fn letters_are_upper_case_and_narrow() {
        check("Acme（ｃｈｉｎａ）科技", "ACME(CHINA)科技");
        check("①号店", "1号店");
        check("Société Générale", "SOCIÉTÉGÉNÉRALE");
        check("e \u{301}", "É");
        check("㈱样例", "(株)样例");
        check("ω样例", "ω样例");
    }

    #[test]
    fn different_names_stay_different() {
        check("样例建设有限公司", "样例建设有限公司");
        check("样例建设(集团)有限公司", "样例建设(集团)有限公司");
        check("样例-建设", "样例-建设");
    }

    #[test]
    fn nothing_left_is_no_name() {
        check("", "none");
        check(" \u{3000}\n\u{200B}", "none");
    }

    #[test]
    fn the_catalogue_table_is_applied_in_one_step() {
        let table = catalogue();
        assert!(table.len() > 2_800, "{table:?}");
        for line in CATALOGUE.lines().filter(|line| !line.starts_with('#')) {
            let (from, to) = pair(line).expect(line);
            assert_eq!(table.simplify(from), to);
            assert_eq!(table.simplify(to), to, "{line}");
        }
        check("苧麻", "苧麻");
        check("苎麻", "苧麻");
        check("鍾鐘裏裡著後雲發髮", "钟钟里里着后云发发");
    }

    /// The table's hash is part of the book version: the fence is this known value.
    #[test]
    fn the_content_hash_is_that_of_the_pairs_alone() {
        let hash = |text: &str| SimplifyTable::parse(text).expect(text).content_hash();
        assert_eq!(hash("國 国\n東 东\n"), hash("# both\n\n東   东\n  國 国"));
        assert_ne!(hash("國 国\n"), hash("東 东\n"));
        assert_eq!(hash("# none"), SimplifyTable::empty().content_hash());
        let known: [u8; 32] = Sha256::digest("國 国\n東 东\n").into();
        assert_eq!(hash("東 东\n國 国\n"), known);
    }

    #[test]
    fn a_table_with_a_fault_is_refused_with_its_line() {
        check_refused("國 国\n", "SimplifyTable(1 pairs)");
        let form = "expected one traditional character, a space and one simplified character";
        check_refused("# c\n國国", &format!("line 2: {form}"));
        check_refused("國 国 国", &format!("line 1: {form}"));
        check_refused("國家 国", &format!("line 1: {form}"));
        check_refused("国 国", "line 1: `国` becomes itself; remove the line");
        check_refused("國 国\n國 囯", "line 2: `國` has a line already; keep one");
        check_refused(
            "國 囯\n囯 国",
            "line 1: `囯` is a result here and has a line of its own; one of the two must go",
        );
        check_refused(
            "a b",
            "line 1: `a` is not an ideograph that stays as it is under NFKC",
        );
        check_refused(
            "國 \u{F9DC}",
            "line 1: `\u{F9DC}` is not an ideograph that stays as it is under NFKC",
        );
    }

    #[test]
    fn names_print_masked() {
        let name = NormalName::new("辽宁样例建设有限公司", &catalogue()).expect("a name");
        assert_eq!(format!("{name} {name:?}"), "辽＊ NormalName(辽＊)");
        assert_eq!(mask_name("张三丰", true), "张＊");
        assert_eq!(mask_name("张", true), "张＊");
        assert_eq!(mask_name("辽宁样例建设有限公司", false), "辽宁＊公司");
        assert_eq!(mask_name("辽宁样例店", false), "辽＊");
        assert_eq!(mask_name("", false), "");
    }

    #[test]
    fn only_normal_forms_are_read_back() {
        let name = NormalName::new("遼寧樣例（集团）", &catalogue()).expect("a name");
        let json = serde_json::to_string(&name).expect("json");
        assert_eq!(
            serde_json::from_str::<NormalName>(&json).expect("json"),
            name
        );
        assert!(serde_json::from_str::<NormalName>("\"样例（集团）\"").is_err());
        assert!(serde_json::from_str::<NormalName>("\"\"").is_err());
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_normal_form(raw in any_text()) {
            let table = catalogue();
            if let Some(name) = NormalName::new(&raw, &table) {
                prop_assert_eq!(NormalName::new(name.reveal(), &table), Some(name.clone()));
                let stored = NormalName::new(name.reveal(), &SimplifyTable::empty());
                prop_assert_eq!(stored, Some(name));
            }
        }

        #[test]
        fn the_short_way_and_the_long_way_agree(raw in any_text()) {
            let table = catalogue();
            if let Some(short) = plain(&raw, &table) {
                prop_assert_eq!(short, careful(&raw, &table));
            }
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            any_char(),
            proptest::char::range('\u{4E00}', '\u{9FFF}'),
            proptest::char::range('\0', '\u{24F}'),
            proptest::char::range('\u{300}', '\u{36F}'),
            proptest::char::range('\u{2000}', '\u{30FF}'),
            proptest::char::range('\u{FE00}', '\u{FFEF}'),
        ];
        proptest::collection::vec(character, 0..12).prop_map(|chars| chars.into_iter().collect())
    }

    fn any_char() -> impl Strategy<Value = char> {
        proptest::char::any()
    }
}
