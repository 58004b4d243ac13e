//! What a policy says, and what of it is a fault.

use super::*;

fn faults(yaml: &str) -> Vec<String> {
    Policy::parse(yaml).expect_err(yaml)
}

#[test]
fn a_policy_says_roles_and_matters() {
    let policy = Policy::parse(
        r#"
callers:
- name: tender-platform
  department: 示例市公共资源交易中心
  roles: [business, business]
  sources: [tender-platform]
  matters:
  - {scenario: tender, stages: [evaluate], regions: ["329900"]}
  checks_per_second: 50
- name: li.si
  department: 示例市信用中心
  roles: [auditor]
  matters:
  - {scenario: "*", regions: ["100000"]}
"#,
    )
    .unwrap();
    let platform = policy.member("tender-platform").unwrap();
    assert_eq!(platform.roles, [Role::Business].into());
    assert!(platform.permissions().contains(Permission::Check));
    assert!(!platform.permissions().contains(Permission::Read));
    assert_eq!(platform.scope.checks_per_second(), NonZeroU32::new(50));
    assert_eq!(
        platform.scope.matters[0].scenario.as_deref(),
        Some("tender")
    );
    let auditor = policy.member("li.si").unwrap();
    assert!(auditor.permissions().contains(Permission::Audit));
    assert_eq!(auditor.scope.matters[0].scenario, None);
    assert!(policy.member("somebody").is_none());
    assert_eq!(policy.members().count(), 2);
}

#[test]
fn a_policy_says_what_each_caller_may_know() {
    let policy = Policy::parse(
        r#"
views:
  贷前审查: {reasons: none, entries: number, measures_up_to: NOTICE}
  行政审批: {reasons: all}
max_age_years: 3
callers:
- name: bank
  department: 示例银行
  roles: [business]
  matters: [{scenario: loan, regions: ["329900"]}]
- name: li.si
  department: 示例市信用中心
  roles: [publisher]
  lists: [B01, B02]
  matters: [{scenario: "*", regions: ["329900"]}]
- name: zhao.liu
  department: 示例市信用中心
  roles: [reviewer, publisher]
  unmasked: true
  matters: [{scenario: "*", regions: ["329900"]}]
"#,
    )
    .expect("a policy");
    let sight = |name: &str| policy.member(name).expect("a caller").scope.sight.clone();
    let bank = sight("bank");
    let lender = bank.view(Some("贷前审查")).expect("a view");
    assert_eq!(
        (lender.reasons, lender.entries, lender.measures_up_to),
        (Reasons::None, Entries::Number, Some(Effect::Notice))
    );
    let permit = bank.view(Some("行政审批")).expect("a view");
    assert_eq!(
        (permit.reasons, permit.entries, permit.measures_up_to),
        (Reasons::All, Entries::Full, None)
    );
    assert_eq!(&*bank.view(None).expect("a view").name, "standard");
    assert_eq!(bank.age_years, Some(3));
    let publisher = sight("li.si").sees(true);
    assert!(publisher.list("B02") && !publisher.list("B03") && publisher.masked);
    let reviewer = sight("zhao.liu");
    assert!(reviewer.view(Some("贷前审查")).is_none() && reviewer.sees(true).is_all());
}

#[test]
fn what_nobody_may_know_longer_or_cannot_be_told_is_a_fault() {
    let check = |more: &str, of_caller: &str, expected: &str| {
        let told = faults(&format!(
            "{more}\ncallers:\n- {{name: a, department: 市, roles: [system_administrator]{of_caller}}}\n"
        ));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(expected), "{told:?}");
    };
    check("max_age_years: 6", "", "from 1 to 5");
    check("max_age_years: 0", "", "from 1 to 5");
    check(
        "views: {x: {measures_up_to: STOP}}",
        "",
        "line 1: the view of `x`",
    );
    check("views: {'': {}}", "", "a view has no purpose");
    check("views: {x: {reason: all}}", "", "reason");
    check("", ", lists: []", "line 3: `a` has `lists` without any");
    check("", ", unmasked: true", "line 3: `a` is `unmasked`");
}

#[test]
fn each_permission_belongs_to_a_role() {
    let given: Permissions = Role::EVERY
        .iter()
        .flat_map(|role| role.permissions())
        .copied()
        .collect();
    for permission in Permission::EVERY {
        assert!(given.contains(permission), "{permission:?}");
    }
}

#[test]
fn only_a_clerk_at_a_window_serves_subjects() {
    let serves = |role: &&Role| role.permissions().contains(&Permission::Subject);
    let roles: Vec<_> = Role::EVERY.iter().filter(serves).collect();
    assert_eq!(roles, [&Role::WindowClerk]);
    assert_eq!(Role::WindowClerk.permissions(), [Permission::Subject]);
    let policy = Policy::parse("callers:\n- {name: a, department: 市, roles: [window_clerk]}\n");
    let policy = policy.expect("it needs no matters");
    let member = policy.member("a").expect("it is there");
    assert!(member.permissions().contains(Permission::Subject));
}

#[test]
fn a_clerk_at_a_window_has_so_many_reports_an_hour() {
    let check = |said: &str, expected: u32| {
        let text = format!("callers:\n- {{name: a, department: 市, {said}}}\n");
        let policy = Policy::parse(&text).expect(&text);
        let scope = &policy.member("a").expect("it is there").scope;
        assert_eq!(
            scope.reports_per_hour(),
            NonZeroU32::new(expected),
            "{text}"
        );
    };
    check("roles: [window_clerk]", 60);
    check("roles: [window_clerk], reports_per_hour: 7", 7);
    check("roles: [list_source]", 0);
    let none =
        "callers:\n- {name: a, department: 市, roles: [window_clerk], reports_per_hour: 0}\n";
    assert!(faults(none)[0].starts_with("line 2: `a` has `reports_per_hour: 0`"));
    let other =
        "callers:\n- {name: a, department: 市, roles: [list_source], reports_per_hour: 7}\n";
    assert!(faults(other)[0].starts_with("line 2: `a` has `reports_per_hour` and is no"));
}

#[test]
fn nobody_holds_two_duties_of_administrators() {
    let told = faults(
        "callers:\n- {name: a, department: 市, roles: [system_administrator, auditor], matters: [{scenario: \"*\", regions: [\"100000\"]}]}\n",
    );
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("line 2: `a` is `system_administrator` and `auditor`"),
        "{told:?}"
    );
}

#[test]
fn every_fault_is_told_with_its_line() {
    let told = faults(
        r#"
callers:
- {name: a, department: "", roles: []}
- name: b
  department: 市
  roles: [business]
- {name: b, department: 市, roles: [list_source], matters: [{scenario: tender, regions: ["329900"]}]}
- name: c
  department: 市
  roles: [reviewer]
  sources: []
  checks_per_second: 0
  matters:
  - {scenario: tender, regions: []}
  - {scenario: "*", stages: [evaluate], regions: ["32990", "329900"], purposes: []}
"#,
    );
    let expected = [
        "line 3: `a` needs the `department`",
        "line 3: `a` may do nothing",
        "line 4: `b` deals with nothing",
        "line 7: `b` has `matters` and no role",
        "line 7: `b` is also the caller of line 4",
        "line 8: `c` has `sources` without any",
        "line 8: `c` has `checks_per_second: 0`",
        "line 14: a matter needs `regions`",
        "line 15: `32990` is no region",
        "line 15: stages are of one scenario",
        "line 15: `purposes` is empty",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(
            told.starts_with(expected),
            "`{told}` should begin with `{expected}`"
        );
    }
    assert!(
        faults("callers:\n- {name: a, department: 市, roles: [king]}\n")[0].starts_with("line 2: ")
    );
    assert!(faults("caller: []\n")[0].contains("caller"));
}
