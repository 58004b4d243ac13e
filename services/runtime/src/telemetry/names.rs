//! Every name that can be seen from outside: fields and spans of logs and traces, and all metrics.
//!
//! Fields are the same for success and refusal. None of them may hold an identifier or a name of a person, nor anything
//! out of an event beyond what stands here.

/// Names of fields. Their values come from closed sets or are ids of our own; the caller's texts are none.
pub mod field {
    /// An error with all its causes.
    pub const ERROR: &str = "error";
    /// Why something is done: a closed set.
    pub const CAUSE: &str = "cause";
    /// Why something was refused: a closed set.
    pub const REASON: &str = "reason";
    /// A supervised task.
    pub const TASK: &str = "task";
    /// A component of readiness.
    pub const COMPONENT: &str = "component";
    /// The name of a caller, as in the keys file.
    pub const CALLER: &str = "caller";
    /// How a check came in.
    pub const TRANSPORT: &str = "transport";
    /// The scenario of an event, as in the book.
    pub const SCENARIO: &str = "scenario";
    /// The stage of an event, as in the book.
    pub const STAGE: &str = "stage";
    /// The outcome of a verdict.
    pub const OUTCOME: &str = "outcome";
    /// A verdict's id.
    pub const VERDICT_ID: &str = "verdict_id";
    /// A list's code.
    pub const LIST: &str = "list";
    /// A list version's sequence number.
    pub const LIST_SEQ: &str = "list_seq";
    /// The hash of the book in force.
    pub const BOOK_VERSION: &str = "book_version";
    /// A position in the journal.
    pub const POSITION: &str = "position";
    /// How many.
    pub const COUNT: &str = "count";
    /// How long, in microseconds.
    pub const DURATION_US: &str = "duration_us";
    /// An address that is listened on.
    pub const ADDRESS: &str = "address";
    /// A file or directory of the deployment.
    pub const PATH: &str = "path";
    /// A variable of the environment.
    pub const VARIABLE: &str = "variable";
    /// Traces or metrics.
    pub const SIGNAL: &str = "signal";
    /// The version of the program.
    pub const VERSION: &str = "version";

    /// All of them, for the test that finds doubles.
    pub const ALL: &[&str] = &[
        ERROR,
        CAUSE,
        REASON,
        TASK,
        COMPONENT,
        CALLER,
        TRANSPORT,
        SCENARIO,
        STAGE,
        OUTCOME,
        VERDICT_ID,
        LIST,
        LIST_SEQ,
        BOOK_VERSION,
        POSITION,
        COUNT,
        DURATION_US,
        ADDRESS,
        PATH,
        VARIABLE,
        SIGNAL,
        VERSION,
    ];
}

/// Names of spans, in the order of the way of an event.
pub mod span {
    /// One check, from its arrival to its answer.
    pub const CHECK: &str = "check";
    /// One review of an open case.
    pub const REVIEW: &str = "review";
    /// Waiting for the list version a check asks for.
    pub const WAIT_LISTS: &str = "wait_lists";
    /// The decision.
    pub const DECIDE: &str = "decide";
    /// Waiting until the record is kept.
    pub const JOURNAL: &str = "journal";
    /// A batch of checks.
    pub const BATCH: &str = "batch";
    /// An import of a list.
    pub const IMPORT: &str = "import";
    /// A replay of a verdict.
    pub const REPLAY: &str = "replay";

    /// All of them, for the test that finds doubles.
    pub const ALL: &[&str] = &[
        CHECK, REVIEW, WAIT_LISTS, DECIDE, JOURNAL, BATCH, IMPORT, REPLAY,
    ];
}

/// Metrics: name, kind, labels and meaning.
pub mod metric {
    /// What a metric's value does over time.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind {
        /// Only grows, from 0 at the start of the process.
        Counter,
        /// Goes up and down.
        Gauge,
        /// How often each range of values occurred.
        Histogram,
    }

    /// One metric.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Metric {
        /// Its name; a counter's ends in `_total`.
        pub name: &'static str,
        /// Its kind.
        pub kind: Kind,
        /// Its labels, each from a closed set.
        pub labels: &'static [&'static str],
        /// What it tells, for the reader of a dashboard.
        pub help: &'static str,
    }

    const fn metric(
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Metric {
        Metric {
            name,
            kind,
            labels,
            help,
        }
    }

    const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Metric {
        metric(Kind::Counter, name, labels, help)
    }

    const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Metric {
        metric(Kind::Gauge, name, labels, help)
    }

    // INVARIANT (balance): checks_received = verdicts + checks_repeated + checks_refused + checks_in_flight, each summed
    // over its labels, whenever nothing arrives or leaves. `metrics::Pending` keeps it.

    /// Checks that arrived.
    pub const CHECKS_RECEIVED: Metric = counter(
        "creditgate_checks_received_total",
        &["transport"],
        "Checks that arrived.",
    );
    /// Verdicts decided and answered.
    pub const VERDICTS: Metric = counter(
        "creditgate_verdicts_total",
        &["scenario", "outcome"],
        "Verdicts decided and answered.",
    );
    /// Repeats.
    pub const CHECKS_REPEATED: Metric = counter(
        "creditgate_checks_repeated_total",
        &[],
        "Checks of an event seen before, answered with its first verdict out of the journal.",
    );
    /// Refusals.
    pub const CHECKS_REFUSED: Metric = counter(
        "creditgate_checks_refused_total",
        &["reason"],
        "Checks answered with an error.",
    );
    /// Under way.
    pub const CHECKS_IN_FLIGHT: Metric = gauge(
        "creditgate_checks_in_flight",
        &[],
        "Checks that arrived and are not answered yet.",
    );
    /// Duration.
    pub const CHECK_DURATION: Metric = metric(
        Kind::Histogram,
        "creditgate_check_duration_seconds",
        &["transport"],
        "Time from a check's arrival to its answer, refusals included.",
    );
    /// Reviews.
    pub const REVIEWS: Metric = counter(
        "creditgate_reviews_total",
        &["outcome"],
        "Verdicts of open cases judged again because something changed; none of them is a check.",
    );
    /// Repeated reviews.
    pub const REVIEWS_REPEATED: Metric = counter(
        "creditgate_reviews_repeated_total",
        &[],
        "Reviews asked for once more, answered with their first verdict out of the journal.",
    );
    /// What a process is to the cases.
    pub const CASES_ROLE: Metric = gauge(
        "creditgate_cases_role",
        &["role"],
        "1 for what this process is to the cases, 0 for the others; `leads` is 1 in at most one process of a deployment. Absent where it follows none.",
    );
    /// How far the log of cases is taken in.
    pub const CASES_TAKEN_IN: Metric = gauge(
        "creditgate_cases_taken_in",
        &[],
        "Records of the log of cases that are taken in here; one that stands by has everything when it shows the same as the one that leads.",
    );
    // The numbers of cases are told by the process that leads them, and absent in others: so a sum counts nothing twice.

    /// Open cases.
    pub const CASES_OPEN: Metric = gauge("creditgate_cases_open", &[], "Cases that are open.");
    /// Missing checks.
    pub const CASES_MISSING_CHECKS: Metric = gauge(
        "creditgate_cases_with_missing_checks",
        &[],
        "Cases in which a step came without the decisive check before it, and the check has not come since.",
    );
    /// Proposals.
    pub const PROPOSALS_OPEN: Metric = gauge(
        "creditgate_proposals_open",
        &[],
        "Proposed measures that wait for an official, escalated ones too.",
    );
    /// Escalated proposals.
    pub const PROPOSALS_ESCALATED: Metric = gauge(
        "creditgate_proposals_escalated",
        &[],
        "Proposed measures whose time for a decision has passed.",
    );
    /// Lift orders.
    pub const LIFT_ORDERS_OPEN: Metric = gauge(
        "creditgate_lift_orders_open",
        &[],
        "Lift orders that are not acknowledged, overdue ones too.",
    );
    /// Overdue lift orders.
    pub const LIFT_ORDERS_OVERDUE: Metric = gauge(
        "creditgate_lift_orders_overdue",
        &[],
        "Lift orders that are not acknowledged although their time has passed.",
    );
    /// The backlog of reviews.
    pub const REVIEWS_WAITING: Metric = gauge(
        "creditgate_reviews_waiting",
        &[],
        "Reviews of cases that wait.",
    );
    /// Its age.
    pub const REVIEWS_OLDEST: Metric = gauge(
        "creditgate_reviews_oldest_seconds",
        &[],
        "Time since the recording of the oldest change whose reviews are not all made; 0: none waits.",
    );
    /// Events from Kafka.
    pub const STREAM_EVENTS: Metric = counter(
        "creditgate_stream_events_total",
        &["end"],
        "Events from Kafka whose transaction is committed, by what became of them.",
    );
    /// Transactions on Kafka.
    pub const STREAM_TRANSACTIONS: Metric = counter(
        "creditgate_stream_transactions_total",
        &["end"],
        "Transactions of events on Kafka.",
    );
    /// Records.
    pub const JOURNAL_RECORDS: Metric = counter(
        "creditgate_journal_records_total",
        &[],
        "Records appended to the journal.",
    );
    /// Bytes.
    pub const JOURNAL_BYTES: Metric = counter(
        "creditgate_journal_bytes_total",
        &[],
        "Bytes appended to the journal.",
    );
    /// Syncs.
    pub const JOURNAL_FSYNCS: Metric = counter(
        "creditgate_journal_fsyncs_total",
        &[],
        "Times the journal was synced to disk.",
    );
    /// Records waiting.
    pub const JOURNAL_QUEUE_RECORDS: Metric = gauge(
        "creditgate_journal_queue_records",
        &[],
        "Records that wait to be written.",
    );
    /// Index.
    pub const INDEX_LAG_RECORDS: Metric = gauge(
        "creditgate_index_lag_records",
        &[],
        "Records of the journal of verdicts that its index on disk lacks; they are found in memory.",
    );
    /// Entries.
    pub const LIST_ENTRIES: Metric = gauge(
        "creditgate_list_entries",
        &["list"],
        "Entries of a list, in any state.",
    );
    /// Age.
    pub const LIST_AGE: Metric = gauge(
        "creditgate_list_age_seconds",
        &["list"],
        "Time since the source last confirmed a list; absent when it never did.",
    );
    /// Version.
    pub const LIST_VERSION_SEQ: Metric = gauge(
        "creditgate_list_version_seq",
        &[],
        "Sequence number of the newest list change applied.",
    );
    /// Following.
    pub const LIST_FOLLOW_LAG: Metric = gauge(
        "creditgate_list_follow_lag_seconds",
        &[],
        "Time since this process last had every list change of the topic; absent where it does not follow one.",
    );
    /// Freshness.
    pub const LIST_CHANGE_TO_EFFECT: Metric = metric(
        Kind::Histogram,
        "creditgate_list_change_to_effect_seconds",
        &[],
        "Time from the recording of a list change, by the clock of whoever recorded it, until checks of this process use it. What was there when the process started is not counted; a clock behind the recorder's counts as 0.",
    );
    /// Who leads.
    pub const LISTS_ROLE: Metric = gauge(
        "creditgate_lists_role",
        &["role"],
        "1 for what this process is to the lists, 0 for the others; `leads` is 1 in at most one process of a deployment.",
    );
    /// Changes taken.
    pub const LIST_CHANGES_ACCEPTED: Metric = counter(
        "creditgate_list_changes_accepted_total",
        &[],
        "List changes entered in the change log.",
    );
    /// Changes refused.
    pub const LIST_CHANGES_REFUSED: Metric = counter(
        "creditgate_list_changes_refused_total",
        &["reason"],
        "List changes refused.",
    );
    /// Requests to webhooks.
    pub const WEBHOOK_DELIVERIES: Metric = counter(
        "creditgate_webhook_deliveries_total",
        &["result"],
        "Requests to webhooks with changes of the lists, by what became of them.",
    );
    /// How far a subscription is behind.
    pub const WEBHOOK_OLDEST: Metric = gauge(
        "creditgate_webhook_oldest_unacknowledged_seconds",
        &["subscription"],
        "Age of the oldest change that a subscription has not acknowledged.",
    );
    /// Requests of deliveries.
    pub const DELIVERY_REQUESTS: Metric = counter(
        "creditgate_delivery_requests_total",
        &["result"],
        "Requests with verdicts, lift orders and notices of cases, by what became of them.",
    );
    /// Dead letters of deliveries.
    pub const DELIVERY_PUT_ASIDE: Metric = counter(
        "creditgate_delivery_dead_letters_total",
        &[],
        "Verdicts, lift orders and notices put aside since their target does not take them.",
    );
    /// How far a delivery is behind.
    pub const DELIVERY_OLDEST: Metric = gauge(
        "creditgate_delivery_oldest_seconds",
        &["delivery"],
        "Age of the oldest verdict, lift order or notice that a delivery still has to get.",
    );
    /// How far an anchor of check points is behind.
    pub const ANCHOR_BEHIND: Metric = gauge(
        "creditgate_anchor_behind_seconds",
        &["anchor"],
        "How long an anchor (file, topic, webhook) has taken no check points; 0: it has all of them.",
    );
    /// The book.
    pub const BOOK_INFO: Metric = gauge(
        "creditgate_book_info",
        &["version"],
        "1 for the book in force.",
    );
    /// Its rows.
    pub const BOOK_ROWS: Metric = gauge(
        "creditgate_book_rows",
        &["state"],
        "Measure rows of the book in force.",
    );
    /// Book loads refused.
    pub const BOOK_REFUSED: Metric = counter(
        "creditgate_book_refused_total",
        &[],
        "Books refused whole; the last good one stayed.",
    );
    /// Comparisons with the shadow.
    pub const SHADOW_COMPARED: Metric = counter(
        "creditgate_shadow_compared_total",
        &["result"],
        "Verdicts compared with those of the book that runs beside the one in force.",
    );
    /// Comparisons left out.
    pub const SHADOW_NOT_COMPARED: Metric = counter(
        "creditgate_shadow_not_compared_total",
        &["reason"],
        "Verdicts not compared with the book that runs beside the one in force.",
    );
    /// Transitions.
    pub const SHADOW_TRANSITIONS: Metric = counter(
        "creditgate_shadow_transitions_total",
        &["old", "new"],
        "Verdicts for which the book that runs beside the one in force says something else, by outcomes.",
    );
    /// Rows.
    pub const SHADOW_ROWS: Metric = counter(
        "creditgate_shadow_rows_total",
        &["row"],
        "Rows that are different for a subject with the book that runs beside the one in force.",
    );
    /// Export failures.
    pub const EXPORT_FAILURES: Metric = counter(
        "creditgate_export_failures_total",
        &["signal"],
        "Exports to the OpenTelemetry collector that failed.",
    );
    /// Clock jumps.
    pub const CLOCK_JUMPS_BACK: Metric = counter(
        "creditgate_clock_jumps_back_total",
        &[],
        "Times the system clock was found set back; the time was held meanwhile.",
    );
    /// Uptime.
    pub const UPTIME: Metric = gauge(
        "creditgate_uptime_seconds",
        &[],
        "Time since the process started.",
    );
    /// Memory.
    pub const RESIDENT_MEMORY: Metric = gauge(
        "creditgate_resident_memory_bytes",
        &[],
        "Memory of the process that is resident.",
    );
    /// Build.
    pub const BUILD_INFO: Metric = gauge(
        "creditgate_build_info",
        &["version", "commit"],
        "1 for the program that runs.",
    );

    /// All of them, in the order they are shown in.
    pub const ALL: &[Metric] = &[
        CHECKS_RECEIVED,
        VERDICTS,
        CHECKS_REPEATED,
        CHECKS_REFUSED,
        CHECKS_IN_FLIGHT,
        CHECK_DURATION,
        REVIEWS,
        REVIEWS_REPEATED,
        CASES_ROLE,
        CASES_TAKEN_IN,
        CASES_OPEN,
        CASES_MISSING_CHECKS,
        PROPOSALS_OPEN,
        PROPOSALS_ESCALATED,
        LIFT_ORDERS_OPEN,
        LIFT_ORDERS_OVERDUE,
        REVIEWS_WAITING,
        REVIEWS_OLDEST,
        STREAM_EVENTS,
        STREAM_TRANSACTIONS,
        JOURNAL_RECORDS,
        JOURNAL_BYTES,
        JOURNAL_FSYNCS,
        JOURNAL_QUEUE_RECORDS,
        INDEX_LAG_RECORDS,
        LIST_ENTRIES,
        LIST_AGE,
        LIST_VERSION_SEQ,
        LIST_FOLLOW_LAG,
        LIST_CHANGE_TO_EFFECT,
        LISTS_ROLE,
        LIST_CHANGES_ACCEPTED,
        LIST_CHANGES_REFUSED,
        WEBHOOK_DELIVERIES,
        WEBHOOK_OLDEST,
        DELIVERY_REQUESTS,
        DELIVERY_PUT_ASIDE,
        DELIVERY_OLDEST,
        ANCHOR_BEHIND,
        BOOK_INFO,
        BOOK_ROWS,
        BOOK_REFUSED,
        SHADOW_COMPARED,
        SHADOW_NOT_COMPARED,
        SHADOW_TRANSITIONS,
        SHADOW_ROWS,
        EXPORT_FAILURES,
        CLOCK_JUMPS_BACK,
        UPTIME,
        RESIDENT_MEMORY,
        BUILD_INFO,
    ];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_stands_twice() {
        let metrics: Vec<&str> = metric::ALL.iter().map(|metric| metric.name).collect();
        for names in [field::ALL, span::ALL, metrics.as_slice()] {
            let distinct: BTreeSet<&str> = names.iter().copied().collect();
            assert_eq!(distinct.len(), names.len());
        }
    }

    #[test]
    fn names_of_metrics_follow_their_kind() {
        for metric in metric::ALL {
            assert!(metric.name.starts_with("creditgate_"));
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == metric::Kind::Counter,
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'));
        }
    }
}
