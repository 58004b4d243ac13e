//! What is due: moments of entries, limits of procedures, notices, by day.
//!
//! Every question reads every entry, since what is due follows from the entries, the book and the day
//! and is kept nowhere; a page keeps only as much as it shows.

use std::collections::BTreeMap;

use creditgate_measures::book::{Book, List};
use creditgate_measures::clocks::{CalendarUse, ClockKind, clocks};
use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_measures::event::Region;
use creditgate_measures::time::{Date, Time};
use creditgate_proto::v1;

use super::form::Form;
use super::notices;
use crate::desk::Desk;
use crate::error::ChangeError;
use crate::life;
use crate::registry::Registry;

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// Kinds besides those of the moments of entries.
const LIMIT: &str = "limit";
const NOTICE: &str = "notice";

/// Day, kind, procedure with its step or notice, entry.
type Key = (Date, &'static str, String, String);

/// What is asked.
struct Asked {
    today: Date,
    from: Date,
    until: Date,
    list: String,
    kinds: Vec<&'static str>,
    region: Option<Region>,
    overdue: bool,
    size: usize,
    after: Option<(Date, String, String, String)>,
}

/// The first items of what is due, after a place.
struct Page<'a> {
    asked: &'a Asked,
    items: BTreeMap<Key, v1::DueItem>,
}

/// What is due, page by page.
pub fn list(
    registry: &Registry,
    asked: &v1::ListDueRequest,
    now: Time,
) -> Result<v1::ListDueResponse, ChangeError> {
    let generation = registry.live().load_full();
    let desk = registry.desk();
    let (lists, book) = (&generation.lists, &generation.book);
    let asked = read(asked, book, now)?;
    let mut page = Page {
        asked: &asked,
        items: BTreeMap::new(),
    };
    for body in lists.bodies() {
        let Ok(stored) = StoredEntry::read(body) else {
            continue;
        };
        let Some(of) = book
            .list(stored.list)
            .filter(|list| wanted(&asked, &stored, list))
        else {
            continue;
        };
        if let Ok(entry) = Entry::from_stored(body) {
            page.take_entry(&entry, of, book, &desk);
        }
    }
    page.take_limits(&desk, |entry_id| {
        let entry = lists.entry(entry_id)?;
        let of = book.list(entry.list.as_str())?;
        in_region(&asked, entry.region, of).then_some(())
    });
    let more = page.items.len() > asked.size;
    while page.items.len() > asked.size {
        page.items.pop_last();
    }
    let last = page.items.last_key_value().filter(|_| more);
    let next_page_token = last.map_or_else(String::new, |(key, _)| token(key));
    Ok(v1::ListDueResponse {
        due: page.items.into_values().collect(),
        next_page_token,
        list_version: lists.version().to_string(),
    })
}

impl Page<'_> {
    fn take(&mut self, key: Key, item: impl FnOnce() -> v1::DueItem) {
        let behind = self
            .asked
            .after
            .as_ref()
            .is_none_or(|(day, kind, what, entry)| {
                (*day, kind.as_str(), what, entry) < (key.0, key.1, &key.2, &key.3)
            });
        let full = self.items.len() > self.asked.size;
        let late = full
            && self
                .items
                .last_key_value()
                .is_some_and(|(last, _)| *last <= key);
        if !behind || late {
            return;
        }
        self.items.insert(key, item());
        if self.items.len() > self.asked.size + 1 {
            self.items.pop_last();
        }
    }

    fn wants(&self, kind: &str) -> bool {
        self.asked.kinds.is_empty() || self.asked.kinds.contains(&kind)
    }

    fn take_entry(&mut self, entry: &Entry, list: &List, book: &Book, desk: &Desk) {
        let asked = self.asked;
        let item = |day: Date, kind: &str, title: &str| v1::DueItem {
            day: day.to_string(),
            kind: kind.to_owned(),
            title: title.to_owned(),
            entry_id: entry.entry_id.as_str().to_owned(),
            list: entry.list.as_str().to_owned(),
            overdue: day < asked.today,
            authority: entry
                .designated_by
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            ..v1::DueItem::default()
        };
        let id = || entry.entry_id.as_str().to_owned();
        let dues = match asked.overdue {
            true => Default::default(),
            false => clocks(entry, book),
        };
        for due in dues {
            let kind = due.kind.code();
            if due.day < asked.from || due.day > asked.until || !self.wants(kind) {
                continue;
            }
            self.take((due.day, kind, String::new(), id()), || v1::DueItem {
                calendar: match due.calendar {
                    CalendarUse::None => String::new(),
                    used => used.code().to_owned(),
                },
                basis: due.rule.as_deref().unwrap_or_default().to_owned(),
                ..item(due.day, kind, due.kind.title_zh())
            });
        }
        if !self.wants(NOTICE) {
            return;
        }
        let at = asked.until.next_day().start().plus_micros(-1);
        for due in notices::due(entry, list, book, desk, at) {
            let (day, notice) = (due.since.date(), due.notice);
            if day > asked.until || (asked.overdue && day >= asked.today) {
                continue;
            }
            let item = v1::DueItem {
                notice: notice.id.to_string(),
                ..item(day, NOTICE, &notice.title.zh)
            };
            let Some(of) = due.measure else {
                self.take((day, NOTICE, notice.id.to_string(), id()), || item);
                continue;
            };
            // Of several measures each is told.
            let on = of.on.map_or_else(String::new, |on| format!(" {on}"));
            let what = format!("{} {} {}{on}", notice.id, of.verdict_id, of.measure_id);
            self.take((day, NOTICE, what, id()), || v1::DueItem {
                verdict_id: of.verdict_id,
                measure_id: of.measure_id,
                verdict_subject: of.on,
                authority: of.by,
                ..item
            });
        }
    }

    fn take_limits(&mut self, desk: &Desk, in_region: impl Fn(&str) -> Option<()>) {
        if !self.wants(LIMIT) {
            return;
        }
        let asked = self.asked;
        for procedure in desk.procedures.after("").filter(|one| one.is_open()) {
            let of_list = asked.list.is_empty() || procedure.list == asked.list;
            if !of_list || (asked.region.is_some() && in_region(&procedure.entry_id).is_none()) {
                continue;
            }
            for limit in &procedure.deadlines {
                if limit.day > asked.until || (asked.overdue && limit.day >= asked.today) {
                    continue;
                }
                let what = format!("{}:{}", procedure.id, limit.step);
                let key = (limit.day, LIMIT, what, procedure.entry_id.clone());
                self.take(key, || v1::DueItem {
                    day: limit.day.to_string(),
                    kind: LIMIT.to_owned(),
                    title: format!("{}：{}", procedure.kind.title_zh(), limit.title),
                    entry_id: procedure.entry_id.clone(),
                    list: procedure.list.clone(),
                    procedure_id: procedure.id.clone(),
                    overdue: limit.day < asked.today,
                    calendar: limit.calendar.clone(),
                    basis: limit.basis.clone(),
                    authority: procedure.authority.clone(),
                    ..v1::DueItem::default()
                });
            }
        }
    }
}

/// Whether the question is about this entry.
fn wanted(asked: &Asked, stored: &StoredEntry<'_>, list: &List) -> bool {
    (asked.list.is_empty() || asked.list == stored.list) && in_region(asked, stored.region, list)
}

fn in_region(asked: &Asked, region: Option<Region>, list: &List) -> bool {
    match asked.region {
        None => true,
        Some(asked) => region
            .or(list.default_region)
            .is_some_and(|region| asked.contains(region)),
    }
}

fn read(asked: &v1::ListDueRequest, book: &Book, now: Time) -> Result<Asked, ChangeError> {
    let today = now.date();
    let mut form = Form::default();
    let until = form.day("until", &asked.until).unwrap_or(today);
    let from = form.day("from", &asked.from).unwrap_or(today);
    if !asked.list.is_empty() {
        life::known_list(&asked.list, book)?;
    }
    let moments = ClockKind::ALL.iter().map(|kind| kind.code());
    let all: Vec<&'static str> = moments.chain([LIMIT, NOTICE]).collect();
    let kinds = asked.kinds.iter();
    let kinds = kinds
        .filter_map(|kind| form.word("kinds", kind, &all, |kind| kind))
        .collect();
    let region = match asked.region.is_empty() {
        true => None,
        false => Region::parse(&asked.region),
    };
    if region.is_none() && !asked.region.is_empty() {
        form.refuse("region", "write a region as six digits, such as 320500");
    }
    let size = match asked.page_size {
        0 => PAGE_DEFAULT,
        size => size,
    };
    if size > PAGE_MAX {
        form.refuse("page_size", "at most 1000");
    }
    let after = place(&asked.page_token);
    if after.is_none() && !asked.page_token.is_empty() {
        form.refuse("page_token", "is none that this service gave");
    }
    form.check()?;
    Ok(Asked {
        today,
        from,
        until,
        list: asked.list.clone(),
        kinds,
        region,
        overdue: asked.overdue,
        size: size as usize,
        after,
    })
}

/// The place of an item, for the next page.
fn token((day, kind, what, entry): &Key) -> String {
    format!("{day}\t{kind}\t{what}\t{entry}")
}

fn place(token: &str) -> Option<(Date, String, String, String)> {
    let mut parts = token.splitn(4, '\t').map(str::to_owned);
    let day = Date::parse(&parts.next()?).ok()?;
    Some((day, parts.next()?, parts.next()?, parts.next()?))
}
