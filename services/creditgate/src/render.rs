//! A verdict for people at a terminal.

use std::fmt::Write;

use creditgate_proto::v1;

/// The verdict with everything that explains it, on several lines.
pub fn verdict(verdict: &v1::Verdict) -> String {
    let mut out = String::new();
    line(
        &mut out,
        0,
        &format!(
            "{}  {}/{}  case {}",
            verdict.outcome, verdict.scenario, verdict.stage, verdict.case_id
        ),
    );
    flags(&mut out, 1, &verdict.flags);
    for party in &verdict.parties {
        line(
            &mut out,
            1,
            &format!("party {}: {}", party.party, party.outcome),
        );
        for subject in verdict
            .subjects
            .iter()
            .filter(|subject| subject.party == party.party)
        {
            self::subject(&mut out, subject);
        }
    }
    for not_checked in &verdict.not_checked {
        line(
            &mut out,
            1,
            &format!("not checked: {} ({})", not_checked.list, not_checked.why),
        );
    }
    if let Some(view) = &verdict.view {
        let told = format!("by the view `{view}`: entries and measures may be left out");
        line(&mut out, 1, &told);
    }
    line(&mut out, 1, &format!("verdict {}", verdict.verdict_id));
    line(&mut out, 1, &format!("lists   {}", verdict.list_version));
    line(
        &mut out,
        1,
        &format!(
            "book    {}",
            verdict.book_version.get(..16).unwrap_or_default()
        ),
    );
    out
}

fn subject(out: &mut String, subject: &v1::SubjectVerdict) {
    line(
        out,
        2,
        &format!(
            "subject {} ({}): {}, identity {}",
            subject.index, subject.role, subject.outcome, subject.identity
        ),
    );
    flags(out, 3, &subject.flags);
    for triggered in &subject.triggered {
        let Some(measure) = &triggered.measure else {
            continue;
        };
        line(
            out,
            3,
            &format!(
                "{} {} {} · {}",
                triggered.contributes,
                triggered.effect,
                measure.id,
                title(measure)
            ),
        );
        if !triggered.why.is_empty() {
            line(out, 4, &format!("because {}", triggered.why.join(", ")));
        }
        if !triggered.also.is_empty() {
            line(out, 4, &format!("also {}", triggered.also.join(", ")));
        }
        entry(out, triggered.entry.as_ref());
        let bases: Vec<String> = measure.basis.iter().map(basis).collect();
        line(out, 4, &format!("basis: {}", bases.join("; ")));
        if let Some(remedies) = &measure.remedies {
            line(
                out,
                4,
                &format!("remedies: {} · {}", remedies.zh, remedies.en),
            );
        }
    }
    for (word, incentives) in [
        ("offered", &subject.offered),
        ("withheld", &subject.withheld),
    ] {
        for incentive in incentives {
            let Some(measure) = &incentive.measure else {
                continue;
            };
            line(
                out,
                3,
                &format!(
                    "{word} {} {} · {}",
                    measure.effect,
                    measure.id,
                    title(measure)
                ),
            );
            if !incentive.why.is_empty() {
                line(out, 4, &format!("because {}", incentive.why.join(", ")));
            }
        }
    }
}

fn entry(out: &mut String, entry: Option<&v1::EntryHit>) {
    if let Some(entry) = entry {
        let document = entry.document_no.as_deref().unwrap_or("no document number");
        line(
            out,
            4,
            &format!(
                "entry {} on {}, {document}, found by {}",
                entry.entry_id, entry.list, entry.path
            ),
        );
    }
}

fn title(measure: &v1::Measure) -> String {
    measure
        .title
        .as_ref()
        .map_or_else(String::new, |title| format!("{} {}", title.zh, title.en))
}

fn basis(basis: &v1::Basis) -> String {
    let mut text = basis.law.clone();
    basis.article.iter().for_each(|article| {
        // Writing to a String cannot fail.
        let _ = write!(text, " {article}");
    });
    text
}

fn flags(out: &mut String, depth: usize, flags: &[String]) {
    if !flags.is_empty() {
        line(out, depth, &format!("flags: {}", flags.join(", ")));
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    out.push_str(&"  ".repeat(depth));
    out.push_str(text);
    out.push('\n');
}

/// The verdict on one line: outcome, where, and what each subject triggered.
pub fn summary(verdict: &v1::Verdict) -> String {
    let mut parts = Vec::new();
    for subject in &verdict.subjects {
        for triggered in &subject.triggered {
            let Some(measure) = &triggered.measure else {
                continue;
            };
            let list = triggered
                .entry
                .as_ref()
                .map_or("", |entry| entry.list.as_str());
            parts.push(format!(
                "{} {} {}{list}",
                measure.id,
                triggered.contributes,
                if list.is_empty() { "" } else { "on " }
            ));
        }
        parts.extend(subject.flags.iter().cloned());
        for offered in &subject.offered {
            parts.extend(
                offered
                    .measure
                    .as_ref()
                    .map(|measure| format!("{} offered", measure.id)),
            );
        }
        for withheld in &subject.withheld {
            parts.extend(
                withheld
                    .measure
                    .as_ref()
                    .map(|measure| format!("{} withheld", measure.id)),
            );
        }
    }
    parts.extend(verdict.flags.iter().cloned());
    parts.extend(
        verdict
            .not_checked
            .iter()
            .map(|n| format!("{} {}", n.list, n.why)),
    );
    parts.dedup();
    format!(
        "{:<20} {:<22} {:<14} {}",
        verdict.outcome,
        format!("{}/{}", verdict.scenario, verdict.stage),
        verdict.case_id,
        parts.join(", ")
    )
}
