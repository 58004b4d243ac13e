//! The names of scenarios and stages that spec 2 fixes; everything else about them is data.

/// Scenarios with their stages in order.
const SCENARIOS: &[(&str, &[&str])] = &[
    ("permit", &["apply", "accept", "review", "decide", "issue"]),
    (
        "tender",
        &[
            "register",
            "prequalify",
            "bid",
            "evaluate",
            "award",
            "contract",
        ],
    ),
    ("land", &["register", "apply", "deal", "contract", "supply"]),
    (
        "procurement",
        &[
            "register", "bid", "evaluate", "award", "contract", "perform",
        ],
    ),
    (
        "funding",
        &["apply", "review", "approve", "disburse", "close"],
    ),
    (
        "honour",
        &["nominate", "screen", "publicise", "decide", "revoke"],
    ),
    (
        "appointment",
        &["qualify", "inspect", "publicise", "approve"],
    ),
    ("qualification", &["apply", "review", "certify", "renew"]),
    ("inspection", &["plan", "draw", "inspect", "publish"]),
    ("lending", &["before_loan", "after_loan"]),
    (
        "business_registration",
        &["establish", "change", "deregister"],
    ),
    ("customs", &["file", "declare", "inspect"]),
    ("residence", &["apply", "review"]),
];

/// The stages of a scenario, in order, when its name is one of the fixed ones.
pub(super) fn stages(scenario: &str) -> Option<&'static [&'static str]> {
    SCENARIOS
        .iter()
        .find(|(name, _)| *name == scenario)
        .map(|(_, stages)| *stages)
}

/// The fixed names of scenarios.
pub(super) fn scenarios() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|(name, _)| *name)
}
