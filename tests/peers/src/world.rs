//! Invented parties, their entries and events about them; everything follows from a seed and a number.

use std::collections::BTreeMap;

use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::event::{Event, GivenIdentifier, ListCode, Region, Sensitive, Subject};
use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::{Role, Severity, State, SubjectKind};
use creditgate_proto::v1;

use crate::policy::{LISTS, PLACES, PROVINCES, ROLES, Row, SEVERITIES};

/// Parties of this number and above stand on no list.
const CLEAN: u64 = 100_000_000;

/// Numbers that follow from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Begins at a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `limit`; its slight bias does not matter here.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// The next number in `low..high`.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below(u64::from(high.abs_diff(low))) as i32
    }
}

/// One designation of a party.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// Place of the list in [`LISTS`]; a party stands on a list once.
    pub list: usize,
    /// Place of the severity in [`SEVERITIES`].
    pub severity: usize,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
}

/// One step of a procedure.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number.
    pub number: u64,
    /// Place of its stage in [`PLACES`].
    pub place: usize,
    /// Place of its subjects' role in [`ROLES`].
    pub role: usize,
    /// Place of its province in [`PROVINCES`].
    pub province: usize,
    /// Amount, in fen.
    pub amount_fen: i64,
    /// Its parties, one subject each.
    pub parties: Vec<u64>,
}

/// Everything invented, without being stored anywhere.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// The day of the run.
    pub today: Date,
    /// What all follows from.
    pub seed: u64,
    /// Parties below this number stand on a list.
    pub listed: u64,
}

impl World {
    /// A world with at least so many entries.
    pub fn with_entries(entries: u64, seed: u64, today: Date) -> Self {
        let mut world = Self {
            today,
            seed,
            listed: 0,
        };
        let mut count = 0;
        while count < entries {
            count += world.listings_of(world.listed).len() as u64;
            world.listed += 1;
        }
        world
    }

    /// The entries of a party; one of ten has ended.
    pub fn listings(&self, party: u64) -> Vec<Listing> {
        if party < self.listed {
            self.listings_of(party)
        } else {
            Vec::new()
        }
    }

    /// Those of its entries that are in force.
    pub fn in_force(&self, party: u64) -> Vec<Listing> {
        let mut listings = self.listings(party);
        listings.retain(|listing| listing.from <= self.today && self.today <= listing.to);
        listings
    }

    fn listings_of(&self, party: u64) -> Vec<Listing> {
        let mut random = Random::new(self.seed ^ party.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let many = match random.below(10) {
            0..=5 => 1,
            6..=8 => 2,
            _ => 3,
        };
        let first = random.below(LISTS.len() as u64) as usize;
        (0..many)
            .map(|n| {
                let from = self.today.plus_days(-random.between(500, 900));
                let to = match random.below(10) {
                    0 => self.today.plus_days(-random.between(40, 400)),
                    _ => self.today.plus_days(random.between(40, 600)),
                };
                Listing {
                    // Steps of three lists meet no list twice, as three and ten have no common divisor.
                    list: (first + 3 * n) % LISTS.len(),
                    severity: random.below(SEVERITIES.len() as u64) as usize,
                    from,
                    to,
                }
            })
            .collect()
    }

    /// The step of this number; in `listed_of_100` of a hundred the first party stands on a list.
    pub fn step(&self, number: u64, listed_of_100: u64) -> Step {
        let mut random =
            Random::new(self.seed.rotate_left(17) ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let listed = random.below(100) < listed_of_100;
        let others = if random.below(5) == 0 {
            1 + random.below(2)
        } else {
            0
        };
        let clean = |random: &mut Random| CLEAN + random.below(700_000_000);
        let first = if listed {
            random.below(self.listed)
        } else {
            clean(&mut random)
        };
        let mut parties = vec![first];
        for _ in 0..others {
            // Where every first party is listed, so are the others.
            parties.push(if listed_of_100 == 100 {
                random.below(self.listed)
            } else {
                clean(&mut random)
            });
        }
        Step {
            number,
            place: random.below(PLACES.len() as u64) as usize,
            role: random.below(ROLES.len() as u64) as usize,
            province: random.below(PROVINCES.len() as u64) as usize,
            amount_fen: [1_000_000, 10_000_000, 80_000_000, 900_000_000][random.below(4) as usize]
                + random.below(1_000_000) as i64,
            parties,
        }
    }

    /// The ranks of a step's parties by the plainest reading of the policy.
    pub fn expected(&self, rows: &[Row], step: &Step) -> Vec<u8> {
        let of_party = |party: &u64| {
            let listings = self.in_force(*party);
            let ranks = listings.iter().flat_map(|listing| {
                rows.iter()
                    .filter(|row| self.fits(row, step, listing))
                    .map(Row::rank)
            });
            ranks.max().unwrap_or(0)
        };
        step.parties.iter().map(of_party).collect()
    }

    fn fits(&self, row: &Row, step: &Step, listing: &Listing) -> bool {
        row.place == step.place
            && row.list == listing.list
            && row.role.is_none_or(|role| role == step.role)
            && row
                .severity
                .is_none_or(|severity| severity == listing.severity)
            && row
                .province
                .is_none_or(|province| province == step.province)
            && row.from <= self.today
            && row.to.is_none_or(|to| self.today <= to)
            && row
                .min_amount_fen
                .is_none_or(|least| step.amount_fen >= least)
    }

    /// The entries of a party for an import into the service.
    pub fn entries_to_import(&self, party: u64) -> Vec<v1::Entry> {
        let entry = |(n, listing): (usize, Listing)| v1::Entry {
            entry_id: format!("P-{party}-{n}"),
            list: LISTS[listing.list].to_owned(),
            id_type: "USCC".to_owned(),
            id: invented::uscc(party),
            name: name(party),
            kind: "enterprise".to_owned(),
            severity: SEVERITIES[listing.severity].to_owned(),
            designated_by: "某机关 (invented)".to_owned(),
            document_no: format!("虚构〔2026〕{party}-{n}号"),
            reason: "虚构事由 (invented)".to_owned(),
            served_at: listing.from.to_string(),
            valid_from: listing.from.to_string(),
            valid_to: listing.to.to_string(),
            state: "EFFECTIVE".to_owned(),
            ..v1::Entry::default()
        };
        self.listings(party)
            .into_iter()
            .enumerate()
            .map(entry)
            .collect()
    }

    /// The entries of a party as the decision keeps them.
    pub fn stored_entries(&self, party: u64) -> Vec<Entry> {
        let identifier = Identifier::parse(IdType::Uscc, &invented::uscc(party), None).ok();
        let entry = |(n, listing): (usize, Listing)| {
            let since = listing.from.start();
            Entry {
                entry_id: format!("P-{party}-{n}").as_str().into(),
                list: ListCode::new(LISTS[listing.list]),
                identifier: identifier.clone(),
                name: Some(Sensitive::new(name(party))),
                former_names: Vec::new(),
                kind: Some(SubjectKind::Enterprise),
                severity: Severity::parse(SEVERITIES[listing.severity]),
                grade: None,
                designated_by: Some("某机关 (invented)".into()),
                document_no: Some(format!("虚构〔2026〕{party}-{n}号").into()),
                basis: None,
                reason: None,
                region: None,
                scope: Vec::new(),
                act_date: None,
                served_at: Some(since),
                valid_from: since,
                valid_to: Some(listing.to),
                display_min_until: None,
                display_max_until: None,
                repeat_count: 0,
                related: Vec::new(),
                aliases: Vec::new(),
                source_unit: None,
                rule_version: None,
                objection_marked: false,
                recorded_at: since,
                changes: vec![StateChange {
                    to: State::Effective,
                    effective_at: since,
                    recorded_at: since,
                }],
            }
        };
        self.listings(party)
            .into_iter()
            .enumerate()
            .map(entry)
            .collect()
    }
}

impl Step {
    /// Its region, a city of its province.
    pub fn region(&self) -> String {
        format!("{}0100", PROVINCES[self.province])
    }

    /// As the service is asked; the run is part of the event's id, so that no two rounds share one.
    pub fn to_request(&self, run: &str) -> v1::Event {
        let (scenario, stage) = PLACES[self.place];
        let id = format!("{run}-{:08}", self.number);
        let subject = |party: &u64| v1::Subject {
            role: ROLES[self.role].to_owned(),
            id_type: "USCC".to_owned(),
            id: invented::uscc(*party),
            name: name(*party),
            kind: "enterprise".to_owned(),
            ..v1::Subject::default()
        };
        v1::Event {
            source: "peers".to_owned(),
            case_id: id.clone(),
            id,
            scenario: scenario.to_owned(),
            stage: stage.to_owned(),
            region: self.region(),
            amount_fen: Some(self.amount_fen),
            subjects: self.parties.iter().map(subject).collect(),
            ..v1::Event::default()
        }
    }

    /// As the decision is asked; none when a code of this comparison were unknown.
    pub fn to_event(&self, at: Time) -> Option<Event> {
        let (scenario, stage) = PLACES[self.place];
        let role = Role::parse(ROLES[self.role])?;
        let subject = |party: &u64| {
            let given = GivenIdentifier {
                id_type: IdType::Uscc,
                value: Sensitive::new(invented::uscc(*party)),
                issuer: None,
            };
            let name = Some(Sensitive::new(name(*party)));
            Subject::new(None, role, Some(SubjectKind::Enterprise), Some(given), name)
        };
        let id = format!("in-{:08}", self.number);
        Some(Event {
            source: "peers".into(),
            id: id.as_str().into(),
            case_id: id.as_str().into(),
            scenario: scenario.into(),
            stage: stage.into(),
            occurred_at: at,
            clock_filled: false,
            region: Region::parse(&self.region())?,
            item_code: None,
            amount_fen: Some(self.amount_fen),
            purpose: None,
            subjects: self.parties.iter().map(subject).collect(),
            attributes: BTreeMap::new(),
        })
    }
}

fn name(party: u64) -> String {
    format!("示例{party}有限公司")
}
