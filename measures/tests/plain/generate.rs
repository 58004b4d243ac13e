//! Books, entries, events and cases made at random from pools so small that everything collides.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use creditgate_measures::book::{Book, Deployment, Signing, SourceFile};
use creditgate_measures::case::{CaseCheck, CaseView, subject_key};
use creditgate_measures::entry::{Entry, Related, StateChange};
use creditgate_measures::event::{
    AttributeValue, Event, GivenIdentifier, ListCode, Region, Sensitive, Subject,
};
use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::{Benefit, Effect, Role, Severity, State, SubjectKind};

/// SplitMix64: small, and the same on every machine.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("less than n")
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A value with this chance.
    fn some<T>(&mut self, chance: usize, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.percent(chance) {
            Some(value(self))
        } else {
            None
        }
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

const RED: [&str; 2] = ["G1", "G2"];
const ATTENTION: [&str; 2] = ["K1", "K2"];
const BLACK: [&str; 6] = ["B1", "B2", "B3", "B4", "B5", "B6"];
const REGIONS: [&str; 4] = ["320500", "320505", "320600", "210100"];
/// Stages, whether decisive, and the decisive stage before.
type Stages = [(&'static str, bool, Option<&'static str>)];
const SCENARIOS: [(&str, &str, &Stages); 5] = [
    (
        "permit",
        "public",
        &[
            ("accept", true, None),
            ("decide", true, Some("accept")),
            ("issue", false, Some("decide")),
        ],
    ),
    (
        "tender",
        "public",
        &[
            ("bid", false, None),
            ("evaluate", true, None),
            ("award", false, Some("evaluate")),
        ],
    ),
    (
        "land",
        "public",
        &[("register", true, None), ("deal", true, Some("register"))],
    ),
    (
        "procurement",
        "public",
        &[
            ("evaluate", true, None),
            ("contract", false, Some("evaluate")),
        ],
    ),
    (
        "lending",
        "third_party",
        &[
            ("before_loan", true, None),
            ("after_loan", false, Some("before_loan")),
        ],
    ),
];
const ITEMS: [(&str, &str); 4] = [
    ("ITEM_A1", "A"),
    ("ITEM_A2", "A"),
    ("ITEM_B", "B"),
    ("ITEM_C", "C"),
];

/// Conditions over event and subject, with the attributes that must then be required.
const CONDITIONS: [(&str, &[&str]); 9] = [
    ("has(event.amount_fen) && event.amount_fen > 1000000", &[]),
    ("event.amount_fen * 4000000000 > 100", &["amount_fen"]),
    (
        "!has(event.amount_fen) || event.amount_fen + event.amount_fen > 7",
        &[],
    ),
    ("subject.identity == 'verified'", &[]),
    ("has(subject.kind) && subject.kind == 'enterprise'", &[]),
    ("!has(event.trade) || event.trade == 'T1'", &[]),
    ("event.units > 3", &["units"]),
    ("event.occurred_on >= '2026-06-10'", &[]),
    ("has(event.tags) && 'x' in event.tags", &[]),
];
/// Conditions that read the entry too.
const ENTRY_CONDITIONS: [&str; 5] = [
    "entry.severity == 'serious'",
    "entry.repeat_count >= 1",
    "has(entry.grade) && entry.grade == 'D'",
    "has(entry.region) && entry.region == '320500'",
    "entry.valid_from < '2026-03-01' && subject.role != 'agent'",
];

/// A book with the forms in which its properties are tried.
pub struct Shelf {
    pub book: Book,
    /// The same rows in other files and another order.
    pub shuffled: Book,
    /// The same rows and one active penalty more.
    pub with_penalty: Book,
}

pub fn shelf(dice: &mut Dice) -> Shelf {
    let mut files = vec![head(), names()];
    files.push(lists(dice));
    files.extend(
        SCENARIOS
            .iter()
            .map(|scenario| scenario_file(dice, scenario)),
    );
    files.push(agreements(dice));
    let mut deployment = Deployment::default();
    for list in RED.iter().chain(&ATTENTION).chain(&BLACK) {
        if dice.percent(4) {
            let why = "no source yet".to_owned();
            deployment.not_connected.insert((*list).to_owned(), why);
        }
    }
    deployment.signing = match dice.below(10) {
        0 => Signing::Untold,
        1 | 2 => Signing::Unsigned,
        _ => Signing::Signed {
            key_id: "0123456789abcdef".into(),
        },
    };
    let mut rows = Vec::new();
    let mut confirmations = String::from("confirmations:\n");
    // A thin book has decisive stages with inactive rows only.
    let (count, inactive) = match dice.percent(8) {
        true => (dice.below(8) + 3, 60),
        false => (dice.below(30) + 14, 15),
    };
    for number in 0..count {
        let (text, confirmed) = row(dice, number, inactive);
        rows.push(text);
        confirmations.push_str(&confirmed);
    }
    if confirmations.contains("measure") {
        let file = SourceFile::new("confirmations/all.yaml", confirmations);
        deployment.confirmations.push(file);
    }
    let load = |rows: &[String], parts: usize| {
        let mut files = files.clone();
        for (part, rows) in rows.chunks(rows.len().div_ceil(parts)).enumerate() {
            let text = format!("measures:\n{}", rows.concat());
            files.push(SourceFile::new(format!("measures/{part}.yaml"), text));
        }
        // Recorded books may hold what today's guards refuse, and are decided by all the same.
        Book::load_recorded(&files, &deployment).unwrap_or_else(|errors| panic!("{errors}"))
    };
    let book = load(&rows, 1);
    let mut more = rows.clone();
    more.push(added_penalty(dice));
    let with_penalty = load(&more, 1);
    dice.shuffle(&mut rows);
    Shelf {
        book,
        shuffled: load(&rows, 3),
        with_penalty,
    }
}

fn head() -> SourceFile {
    let mut text = String::from(
        "book: invented\ntitle: {zh: 虚构, en: Invented}\ncovers_from: '2026-06-03'\nedition:\n  \
         code: '2024'\n  title: {zh: 清单, en: List}\n  items:\n",
    );
    for (code, class) in ITEMS {
        writeln!(
            text,
            "  - {{code: {code}, class: {class}, title: {{zh: 项, en: Item}}, confidence: verified}}"
        )
        .expect("a text");
    }
    SourceFile::new("book.yaml", text)
}

fn names() -> SourceFile {
    SourceFile::new("names/simplify.txt", "東 东\n華 华\n業 业\n")
}

fn lists(dice: &mut Dice) -> SourceFile {
    let mut text = String::from("lists:\n");
    let colours = [
        ("red", &RED[..]),
        ("attention", &ATTENTION),
        ("black", &BLACK),
    ];
    for (colour, codes) in colours {
        for code in codes {
            let local = dice.percent(35);
            let basis = match dice.below(8) {
                0 => "paper",
                1 => "department_rule",
                2 => "local_regulation, region: '320000'",
                _ => "law",
            };
            write!(
                text,
                "- {{code: {code}, colour: {colour}, name: {{zh: 名单, en: List}}, authority: 部门, \
                 basis: [{{law: 法, level: {basis}}}], field: 领域, reach: {}, \
                 freshness_budget_hours: 24, confidence: verified",
                if local { "local" } else { "national" }
            )
            .expect("a text");
            match dice.below(4) {
                0 => text.push_str(", until_performed: true"),
                1 => {}
                _ => write!(text, ", max_period_months: {}", dice.pick(&[3, 36, 36]))
                    .expect("a text"),
            }
            if dice.percent(75) {
                let severity = dice.pick(&["general", "serious", "serious", "serious", "minor"]);
                write!(text, ", default_severity: {severity}").expect("a text");
            }
            if local && dice.percent(50) {
                write!(text, ", default_region: '{}'", dice.pick(&REGIONS)).expect("a text");
            }
            text.push_str("}\n");
        }
    }
    SourceFile::new("lists/all.yaml", text)
}

fn scenario_file(dice: &mut Dice, scenario: &(&str, &str, &Stages)) -> SourceFile {
    let (code, actor, stages) = scenario;
    let mut text = format!("scenario: {code}\ntitle: {{zh: 场景, en: Scenario}}\nactor: {actor}\n");
    match dice.below(3) {
        0 => text.push_str("go_live: '2026-01-01'\n"),
        1 => text.push_str("go_live: '2026-06-08'\n"),
        _ => {}
    }
    text.push_str("stages:\n");
    for (stage, decisive, after) in *stages {
        write!(
            text,
            "- {{code: {stage}, title: {{zh: 环节, en: Stage}}, decisive: {decisive}"
        )
        .expect("a text");
        if let Some(after) = after {
            write!(text, ", after: {after}").expect("a text");
        }
        text.push_str("}\n");
    }
    text.push_str("attributes:\n");
    for (name, ty) in [
        ("notice_no", "string"),
        ("notice_clause", "string"),
        ("notice_published_at", "date"),
        ("trade", "string"),
        ("project_kind", "string"),
        ("units", "int"),
        ("urgent", "bool"),
        ("tags", "string_list"),
    ] {
        writeln!(
            text,
            "- {{name: {name}, type: {ty}, title: {{zh: 属性, en: Attribute}}}}"
        )
        .expect("a text");
    }
    SourceFile::new(format!("scenarios/{code}.yaml"), text)
}

fn agreements(dice: &mut Dice) -> SourceFile {
    let mut text = String::from("agreements:\n");
    for number in 0..7 {
        let level = match dice.below(2) {
            0 => "paper",
            _ => "local_regulation, region: '320000'",
        };
        let ends = dice.pick(&["", ", effective_to: '2026-06-12'"]);
        let lists = [dice.pick(&BLACK), dice.pick(&BLACK), dice.pick(&RED)].join(", ");
        writeln!(
            text,
            "- {{id: AG{number}, lists: [{lists}], from: '{}', to: '{}', \
             basis: [{{law: 协议, level: {level}}}], effective_from: '2026-06-0{}'{ends}}}",
            dice.pick(&["210000", "320600", "320500"]),
            dice.pick(&["320000", "320500", "210000"]),
            dice.below(7) + 1,
        )
        .expect("a text");
    }
    SourceFile::new("agreements/all.yaml", text)
}

/// One row as YAML, and its confirmation if it has one.
///
/// Its case stands outside every stage, where nothing can match: what rows do is compared here.
fn row(dice: &mut Dice, number: usize, inactive: usize) -> (String, String) {
    let id = format!("M{number:02}");
    let third_party = dice.percent(15);
    let penalty = dice.percent(64);
    let with_entry = dice.percent(82);
    let mut text = format!(
        "- id: {id}\n  title: {{zh: 措施, en: Measure}}\n  content: {{zh: 内容, en: Content}}\n  \
         field: 领域\n  implementer: {{zh: 机关, en: Body}}\n  remedies: {{zh: 异议, en: Objection}}\n  confidence: {}\n",
        if dice.percent(12) {
            "recalled"
        } else {
            "verified"
        }
    );
    let mut put = |key: &str, value: &str| writeln!(text, "  {key}: {value}").expect("a text");

    let (item, class) = dice.pick(&ITEMS);
    let effect = if !penalty {
        dice.pick(Benefit::ALL).code()
    } else if third_party || class == "C" {
        "NOTICE"
    } else {
        let middle = &Effect::ALL[1..4];
        let effects = [middle, middle, middle, Effect::ALL].concat();
        dice.pick(&effects).code()
    };
    put("direction", if penalty { "penalty" } else { "incentive" });
    put("effect", effect);
    if penalty && (with_entry || dice.percent(50)) {
        put("item", item);
        put("class", class);
    }
    let forces = ["must", "may", "factor", "refer", "own"];
    let force = if dice.percent(70) {
        "must"
    } else {
        dice.pick(&forces)
    };
    put("force", force);

    let mut follows_notice = !third_party;
    let mut applies = Vec::new();
    for _ in 0..dice.below(3) + 1 {
        let (scenario, _, stages) = match third_party {
            true => SCENARIOS[4],
            false => SCENARIOS[dice.below(4)],
        };
        follows_notice &= scenario != "permit";
        let mut named: Vec<&str> = stages
            .iter()
            .filter(|_| dice.percent(75))
            .map(|(stage, _, _)| *stage)
            .collect();
        named.extend(stages.last().map(|(stage, _, _)| *stage));
        applies.push(format!(
            "{{scenario: {scenario}, stages: [{}]}}",
            named.join(", ")
        ));
    }
    put("applies", &format!("[{}]", applies.join(", ")));

    if with_entry {
        let pool: &[&str] = match penalty {
            true if dice.percent(25) => &ATTENTION,
            true => &BLACK,
            false if dice.percent(10) => &ATTENTION,
            false => &RED,
        };
        let mut lists = vec![dice.pick(pool), dice.pick(pool)];
        if penalty && dice.percent(20) {
            lists.extend(BLACK);
        }
        put("lists", &format!("[{}]", lists.join(", ")));
        if dice.percent(if penalty { 15 } else { 45 }) {
            put(
                "severities",
                dice.pick(&["[serious]", "[serious, general]"]),
            );
        }
        if dice.percent(20) {
            put("scoped", "true");
        }
        if dice.percent(45) {
            put(
                "extends_to",
                dice.pick(&[
                    "[legal_representative, principal, responsible_person, actual_controller]",
                    "[legal_representative]",
                    "[principal, actual_controller]",
                    "[responsible_person, legal_representative]",
                ]),
            );
        }
    }
    if dice.percent(15) {
        put(
            "kinds",
            dice.pick(&["[enterprise]", "[enterprise, natural_person]"]),
        );
    }
    if dice.percent(20) {
        put(
            "roles",
            dice.pick(&["[bidder, applicant]", "[supplier, land_bidder]", "[agent]"]),
        );
    }
    if dice.percent(30) {
        put("reaches_party", "true");
    }
    if !penalty && dice.percent(60) {
        let basis = "basis: {law: 法, level: law}";
        let (one, other) = (dice.pick(&BLACK), dice.pick(&ATTENTION));
        put(
            "excluded_by",
            &format!("[{{list: {one}, {basis}}}, {{list: {other}, {basis}}}]"),
        );
    }
    let basis = match dice.below(8) {
        0 if follows_notice => "published_notice",
        1 => "local_regulation, region: '320000'",
        2 => "central_document",
        _ => "law",
    };
    put("basis", &format!("[{{law: 法, level: {basis}}}]"));
    match dice.below(8) {
        _ if basis.starts_with("local") => put("region", dice.pick(&["'320000'", "'320500'"])),
        0 => put("region", dice.pick(&["'320000'", "'320505'"])),
        _ => {}
    }
    if dice.percent(if penalty { 40 } else { 60 }) {
        let all = CONDITIONS.len()
            + if with_entry {
                ENTRY_CONDITIONS.len()
            } else {
                0
            };
        let at = dice.below(all);
        match CONDITIONS.get(at) {
            Some((condition, required)) => {
                put("when", &format!("\"{condition}\""));
                if !required.is_empty() {
                    put("required", &format!("[{}]", required.join(", ")));
                }
            }
            None => put(
                "when",
                &format!("\"{}\"", ENTRY_CONDITIONS[at - CONDITIONS.len()]),
            ),
        }
    }

    let mut confirmation = String::new();
    let dates = "published_at: '2025-01-01', published_in: 公报, effective_from: '2025-02-01'";
    match dice.below(8) {
        _ if dice.percent(inactive) => {}
        2 => {
            confirmation =
                format!("- {{measure: {id}, confirmed_by: 某人, document: 文, {dates}}}\n");
        }
        dated => {
            put("published_at", "'2024-12-31'");
            put("published_in", "公报");
            put(
                "effective_from",
                if dated == 3 {
                    "'2026-06-09'"
                } else {
                    "'2025-01-01'"
                },
            );
            if dated == 4 {
                put("effective_to", "'2026-06-11'");
            }
        }
    }
    put(
        "cases",
        "[{name: outside every stage, event: {stage: nowhere}, unlisted: true, expect: no match}]",
    );
    (text, confirmation)
}

/// An active penalty that matches widely.
fn added_penalty(dice: &mut Dice) -> String {
    let effect = dice.pick(&Effect::ALL[1..]).code();
    let force = dice.pick(&["must", "may"]);
    let mut applies = String::new();
    for (scenario, _, stages) in &SCENARIOS[..4] {
        let stages: Vec<&str> = stages.iter().map(|(stage, _, _)| *stage).collect();
        write!(
            applies,
            "{{scenario: {scenario}, stages: [{}]}},",
            stages.join(", ")
        )
        .expect("a text");
    }
    format!(
        "- {{id: A99, title: {{zh: 措施, en: Measure}}, content: {{zh: 内容, en: Content}}, \
         field: 领域, implementer: {{zh: 机关, en: Body}}, remedies: {{zh: 异议, en: Objection}}, \
         confidence: verified, direction: penalty, effect: {effect}, force: {force}, item: ITEM_A1, \
         class: A, applies: [{applies}], lists: [{}, {}], basis: [{{law: 法, level: law}}], \
         published_at: '2024-12-31', published_in: 公报, effective_from: '2025-01-01', \
         cases: [{{name: outside, event: {{stage: nowhere}}, unlisted: true, expect: no match}}]}}\n",
        dice.pick(&BLACK),
        dice.pick(&BLACK),
    )
}

/// Somebody: identifiers that may be given for it, and names it goes by.
struct Somebody {
    numbers: Vec<(IdType, String)>,
    names: Vec<&'static str>,
    kind: SubjectKind,
}

/// Everybody there is.
pub struct People(Vec<Somebody>);

const BROKEN: &str = "91320500BROKEN000X";

impl People {
    pub fn new() -> Self {
        let firm = |n: u64, names: &[&'static str]| Somebody {
            numbers: vec![
                (IdType::Uscc, invented::uscc(n)),
                (IdType::Uscc, invented::uscc(n)),
                (IdType::Org9, invented::org9(n)),
                (IdType::Reg15, invented::reg15(n)),
            ],
            names: names.to_vec(),
            kind: SubjectKind::Enterprise,
        };
        let person = |numbers: Vec<(IdType, String)>, name| Somebody {
            numbers,
            names: vec![name],
            kind: SubjectKind::NaturalPerson,
        };
        let day = |y, m, d| Date::from_ymd(y, m, d).expect("a day");
        let born_1970 = day(1970, 5, 6);
        Self(vec![
            firm(
                1,
                &[
                    "东方建设(苏州)有限公司",
                    "東方建設（苏州） 有限公司".trim(),
                    "东方旧名公司",
                ],
            ),
            firm(2, &["华业 ａ公司", "華業A公司"]),
            firm(3, &["同名公司"]),
            firm(4, &["同名公司", "四海公司"]),
            Somebody {
                numbers: vec![(IdType::Uscc, broken_inside())],
                names: vec!["五湖公司"],
                kind: SubjectKind::Enterprise,
            },
            Somebody {
                numbers: vec![
                    (IdType::Uscc, invented::individual_business(11)),
                    (IdType::Org9, invented::org9(11)),
                    (IdType::Reg15, invented::reg15(11)),
                ],
                names: vec!["小店"],
                kind: SubjectKind::IndividualBusiness,
            },
            Somebody {
                numbers: vec![(IdType::Reg15, invented::reg15(12))],
                names: vec!["无码小店"],
                kind: SubjectKind::IndividualBusiness,
            },
            person(
                vec![
                    (IdType::Id18, invented::id18(21, born_1970)),
                    (IdType::Id15, invented::id15(21, born_1970)),
                    (IdType::Other, "PASS-1".to_owned()),
                ],
                "张三",
            ),
            person(vec![(IdType::Id18, invented::person(22))], "李四"),
            // 18 shortly before, shortly after, and long after the events.
            person(
                vec![
                    (IdType::Id18, invented::id18(23, day(2008, 6, 5))),
                    (IdType::Other, "PASS-2".to_owned()),
                ],
                "王五",
            ),
            person(
                vec![(IdType::Id18, invented::id18(24, day(2008, 6, 12)))],
                "赵六",
            ),
            person(
                vec![(IdType::Id18, invented::id18(25, day(2030, 1, 1)))],
                "同名公司",
            ),
            person(vec![(IdType::Other, "PASS-3".to_owned())], "同名公司"),
            Somebody {
                numbers: vec![(IdType::Uscc, invented::uscc_of_category("51", 31))],
                names: vec!["某协会"],
                kind: SubjectKind::SocialOrganisation,
            },
        ])
    }

    fn anybody<'a>(&'a self, dice: &mut Dice) -> &'a Somebody {
        // The first few are met most often.
        let width = dice.pick(&[4, 4, 4, 9, 9, self.0.len()]);
        &self.0[dice.below(width)]
    }
}

fn number(dice: &mut Dice, somebody: &Somebody) -> (IdType, String) {
    let at = dice
        .below(somebody.numbers.len())
        .min(dice.below(somebody.numbers.len()));
    somebody.numbers[at].clone()
}

fn issuer(id_type: IdType) -> Option<&'static str> {
    (id_type == IdType::Other).then_some("某国")
}

fn identifier(numbered: &(IdType, String)) -> Identifier {
    let (id_type, value) = numbered;
    Identifier::parse(*id_type, value, issuer(*id_type)).expect("an invented identifier is valid")
}

/// A USCC whose outer check holds and whose inner organisation code does not.
fn broken_inside() -> String {
    let good = invented::uscc(5);
    let (body, _) = good.split_at(16);
    let tries = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    tries
        .chars()
        .flat_map(|inner| {
            tries
                .chars()
                .map(move |outer| format!("{body}{inner}{outer}"))
        })
        .find(|code| {
            Identifier::parse(IdType::Uscc, code, None).is_ok_and(|i| !i.inner_org_code_holds())
        })
        .expect("some inner code is wrong")
}

fn hours(dice: &mut Dice, from: i64, to: i64) -> Time {
    let start = Time::parse("2026-06-01T00:00:00+08:00").expect("a time");
    let span = usize::try_from(to - from).expect("a span");
    let hours = from + i64::try_from(dice.below(span)).expect("a number");
    start.plus_seconds(hours * 3_600)
}

fn name(dice: &mut Dice, people: &People, somebody: &Somebody) -> Sensitive {
    let somebody = match dice.percent(6) {
        true => people.anybody(dice),
        false => somebody,
    };
    Sensitive::new(dice.pick(&somebody.names))
}

const KINDS: &[SubjectKind] = SubjectKind::ALL;
const RELATIONS: [Role; 5] = [
    Role::LegalRepresentative,
    Role::Principal,
    Role::ResponsiblePerson,
    Role::ActualController,
    Role::Guarantor,
];

/// What the lists hold.
pub struct Registry {
    pub entries: Vec<Entry>,
    pub confirmed: Vec<(ListCode, Time)>,
    /// When most of its events take place: what is fresh was confirmed shortly before.
    pub around: Time,
}

pub fn registry(dice: &mut Dice, people: &People) -> Registry {
    let count = dice.pick(&[4, 8, 12, 16, 30, 50]);
    let entries = (0..count).map(|n| entry(dice, people, n)).collect();
    let mut confirmed = Vec::new();
    let around = hours(dice, 48, 330);
    // An empty system now and then; otherwise most lists were confirmed lately.
    let missing = dice.pick(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 100]);
    let stale = dice.pick(&[0, 0, 0, 0, 0, 0, 5, 60]);
    for list in RED.iter().chain(&ATTENTION).chain(&BLACK) {
        if dice.percent(missing) {
            continue;
        }
        let hours = match (dice.percent(stale), dice.below(100)) {
            (true, _) => -26 - i64::try_from(dice.below(300)).expect("a number"),
            // By a clock that ran ahead.
            (false, 0) => 48,
            (false, _) => -3,
        };
        let at = around.plus_seconds(hours * 3_600);
        confirmed.push((ListCode::new(*list), at));
    }
    Registry {
        entries,
        confirmed,
        around,
    }
}

pub fn entry(dice: &mut Dice, people: &People, n: usize) -> Entry {
    let somebody = people.anybody(dice);
    let list = match dice.below(20) {
        0..=2 => dice.pick(&RED),
        3..=5 => dice.pick(&ATTENTION),
        6 if dice.percent(20) => "Z9",
        _ => dice.pick(&BLACK),
    };
    let identified = dice.percent(85);
    let mut aliases = Vec::new();
    if dice.percent(20) && identified {
        aliases.push(identifier(&number(dice, somebody)));
    }
    if dice.percent(2) {
        let other = people.anybody(dice);
        aliases.push(identifier(&number(dice, other)));
    }
    let valid_from = match dice.percent(88) {
        true => hours(dice, -3_000, 0),
        false => hours(dice, 0, 336),
    };
    let mut related = Vec::new();
    for _ in 0..dice.below(3) {
        let other = people.anybody(dice);
        related.push(Related {
            role: dice.pick(&RELATIONS),
            identifier: dice.some(90, |dice| identifier(&number(dice, other))),
            name: dice.some(60, |dice| name(dice, people, other)),
        });
    }
    let mut scope: Vec<Arc<str>> = Vec::new();
    if dice.percent(50) {
        for _ in 0..dice.below(2) + 1 {
            scope.push(Arc::from(dice.pick(&[
                "item:I1",
                "item:I1",
                "trade:T1",
                "trade:T2",
                "region:320000",
                "region:320500",
                "project:P1",
            ])));
        }
    }
    let served = dice.percent(75);
    let recorded_at = match dice.percent(80) {
        true => valid_from,
        false => hours(dice, 200, 400),
    };
    Entry {
        entry_id: format!("E{n:02}").as_str().into(),
        list: ListCode::new(list),
        identifier: identified.then(|| identifier(&number(dice, somebody))),
        name: dice.some(if identified { 70 } else { 97 }, |dice| {
            name(dice, people, somebody)
        }),
        former_names: match dice.percent(15) {
            true => vec![name(dice, people, somebody)],
            false => Vec::new(),
        },
        kind: match dice.below(10) {
            0 => Some(dice.pick(KINDS)),
            1..=3 => Some(somebody.kind),
            _ => None,
        },
        severity: match dice.below(8) {
            0 => Some(Severity::Minor),
            1 => Some(Severity::General),
            2..=4 => Some(Severity::Serious),
            _ => None,
        },
        grade: dice.some(30, |dice| Arc::from(dice.pick(&["D", "C"]))),
        designated_by: None,
        document_no: dice.some(60, |dice| Arc::from(format!("文{}号", dice.below(3)))),
        basis: None,
        reason: None,
        region: dice.some(70, |dice| {
            Region::parse(dice.pick(&REGIONS)).expect("a region")
        }),
        scope,
        act_date: dice.some(40, |dice| hours(dice, -9_000, -100).date()),
        served_at: served.then(|| match dice.percent(85) {
            true => valid_from,
            false => hours(dice, -200, 336),
        }),
        valid_from,
        valid_to: match dice.below(10) {
            0 => Some(hours(dice, -100, 400).date()),
            1..=6 => Some(hours(dice, 5_000, 9_000).date()),
            _ => None,
        },
        display_min_until: None,
        display_max_until: match dice.below(12) {
            0 => Some(hours(dice, 0, 400).date()),
            1..=3 => Some(hours(dice, 3_000, 9_000).date()),
            _ => None,
        },
        repeat_count: u32::try_from(dice.below(3)).expect("a small number"),
        related,
        aliases,
        source_unit: None,
        rule_version: None,
        objection_marked: dice.percent(4),
        recorded_at,
        changes: changes(dice, valid_from),
    }
}

/// A history: proposed, in force, out of force for a time, ended; also in the future.
fn changes(dice: &mut Dice, valid_from: Time) -> Vec<StateChange> {
    let mut changes = Vec::new();
    let mut change = |to, effective_at: Time| {
        changes.push(StateChange {
            to,
            effective_at,
            recorded_at: effective_at,
        });
    };
    if dice.percent(20) {
        change(State::Proposed, valid_from.minus_seconds(86_400));
        if dice.percent(40) {
            change(State::Notified, valid_from.minus_seconds(3_600));
        }
        if dice.percent(30) {
            return changes;
        }
    }
    change(
        State::Effective,
        match dice.percent(92) {
            true => valid_from,
            false => hours(dice, 0, 336),
        },
    );
    match dice.below(12) {
        0 | 1 => {
            let from = hours(dice, 48, 340);
            change(State::Suspended, from);
            if dice.percent(50) {
                change(State::Effective, hours(dice, 48, 350).max(from));
            }
        }
        2 => change(State::Repaired, hours(dice, 0, 350)),
        3 => change(State::Revoked, hours(dice, 0, 350)),
        _ => {}
    }
    changes
}

/// An event, the instant at which it is judged, and what is known of its case.
pub fn question(
    dice: &mut Dice,
    people: &People,
    registry: &Registry,
    book: &Book,
    n: u64,
) -> (Event, Time, CaseView) {
    let (scenario, _, stages) = dice.pick(&SCENARIOS);
    let stage = match dice.percent(2) {
        true => "nowhere",
        false => stages[dice.below(stages.len())].0,
    };
    let occurred_at = match dice.percent(5) {
        true => hours(dice, 0, 48),
        false => registry
            .around
            .plus_seconds(dice.pick(&[0, -3_600, -7_200])),
    }
    .plus_seconds(dice.pick(&[0, 0, 1, 1_800]));
    let at = match dice.below(20) {
        0 => occurred_at.plus_seconds(-200),
        1 => occurred_at.plus_seconds(40 * 3_600),
        2 => occurred_at.plus_seconds(24 * 3_600),
        3..=7 => occurred_at.plus_seconds(20 * 3_600),
        8..=9 => occurred_at.plus_seconds(dice.pick(&[0, 599, 600])),
        _ => occurred_at.plus_seconds(1_200),
    };
    let mut attributes = BTreeMap::new();
    let mut put = |name: &str, value| drop(attributes.insert(Arc::from(name), value));
    let text = |text: &str| AttributeValue::Text(text.into());
    if dice.percent(50) {
        put("notice_no", text("N1"));
        put("notice_clause", text(dice.pick(&["3.1", "3.1", ""])));
    }
    if dice.percent(40) {
        let days = [
            "2026-05-20",
            "2026-06-10",
            "2025-01-15",
            "2024-01-01",
            "soon",
        ];
        put("notice_published_at", text(dice.pick(&days)));
    }
    if dice.percent(60) {
        put("trade", text(dice.pick(&["T1", "T1", "T2"])));
    }
    if dice.percent(50) {
        put("project_kind", text(dice.pick(&["P1", "P2"])));
    }
    if dice.percent(60) {
        put(
            "units",
            AttributeValue::Int(i64::try_from(dice.below(8)).expect("small")),
        );
    }
    if dice.percent(40) {
        put(
            "tags",
            AttributeValue::List(vec![dice.pick(&["x", "y"]).into()]),
        );
    }
    let subjects: Vec<Subject> = (0..dice.pick(&[1, 1, 1, 2, 2, 3, 4, 5]))
        .map(|n| subject(dice, people, n))
        .collect();
    let event = Event {
        source: "invented".into(),
        id: format!("{n}").as_str().into(),
        case_id: "case".into(),
        scenario: (*scenario).into(),
        stage: stage.into(),
        occurred_at,
        clock_filled: false,
        region: Region::parse(dice.pick(&REGIONS)).expect("a region"),
        item_code: dice.some(60, |dice| Arc::from(dice.pick(&["I1", "I1", "I2"]))),
        amount_fen: dice.some(75, |dice| {
            dice.pick(&[1, 2_000_000, 2_000_000, i64::MAX, i64::MAX / 3])
        }),
        purpose: None,
        subjects,
        attributes,
    };
    let case = case_view(dice, &event, at, registry, book);
    (event, at, case)
}

fn subject(dice: &mut Dice, people: &People, n: usize) -> Subject {
    let somebody = people.anybody(dice);
    let role = match (n, dice.below(6)) {
        (0, 0..=4) => dice.pick(&[
            Role::Applicant,
            Role::Bidder,
            Role::Supplier,
            Role::LandBidder,
            Role::Borrower,
        ]),
        (_, 0) => Role::ConsortiumMember,
        (_, 1..=3) => dice.pick(&RELATIONS),
        _ => dice.pick(Role::ALL),
    };
    let given = match dice.below(30) {
        0 => None,
        1 => Some((IdType::Uscc, BROKEN.to_owned())),
        2 => Some((IdType::Id18, "110101199001011234".to_owned())),
        _ => Some(number(dice, somebody)),
    };
    let given = given.map(|(id_type, value)| GivenIdentifier {
        id_type,
        value: Sensitive::new(value),
        issuer: issuer(id_type).map(Into::into),
    });
    let kind = match dice.below(20) {
        0 => Some(dice.pick(KINDS)),
        1..=6 => None,
        _ => Some(somebody.kind),
    };
    let name = dice.some(75, |dice| name(dice, people, somebody));
    let party = dice.some(45, |dice| (dice.pick(&["P1", "P2", "#0"])).into());
    Subject::new(party, role, kind, given, name)
}

/// Some subjects were checked at some stages, some of them too late.
fn case_view(
    dice: &mut Dice,
    event: &Event,
    at: Time,
    registry: &Registry,
    book: &Book,
) -> CaseView {
    let mut case = CaseView::default();
    if dice.percent(30) || registry.entries.is_empty() {
        return case;
    }
    let (_, _, stages) = SCENARIOS
        .iter()
        .find(|(scenario, _, _)| **scenario == *event.scenario.as_str())
        .expect("a known scenario");
    for subject in &event.subjects {
        let Some(key) = subject_key(subject, at, book.simplify()) else {
            continue;
        };
        let checked = stages
            .iter()
            .filter(|_| dice.percent(55))
            .collect::<Vec<_>>();
        let late = dice.pick(&[-86_400, -86_400, -86_400, 600, 601]);
        case.record(checked.into_iter().map(|(stage, _, _)| CaseCheck {
            subject: key,
            stage: (*stage).into(),
            at: event.occurred_at.plus_seconds(late),
        }));
    }
    case
}
