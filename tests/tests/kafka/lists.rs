//! What processes know of the lists, and invented entries for them.

use std::process::Output;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::{Service, run};
use tempfile::NamedTempFile;

use super::wait_until;

const HEAD: &str = "entry_id,list,id_type,id,name,kind,severity,designated_by,document_no,reason,region,scope,served_at,\
                    valid_from,valid_to,state";

/// What a process knows, as `lists state` tells it; `None` when it does not answer.
pub fn told(service: &Service) -> Option<serde_json::Value> {
    let server = format!("http://{}", service.grpc);
    let told = run(&["lists", "state", "--json", "--server", &server], "");
    told.status
        .success()
        .then(|| serde_json::from_slice(&told.stdout).expect("JSON"))
}

/// Version, number of entries, book and hash of the lists: the same in processes that know the same.
pub fn state(service: &Service) -> Option<String> {
    let told = told(service)?;
    let shown = ["list_version", "entries", "book_version", "state"]
        .map(|name| format!("{name} {}", told[name].as_str().expect("a text")));
    Some(shown.join(" "))
}

/// The same in all of them.
pub fn assert_same_state(services: &[&Service]) -> String {
    let first = state(services[0]).expect("an answer");
    for service in services {
        // A follower may be a moment behind.
        wait_until("the same lists everywhere", || {
            state(service).as_ref() == Some(&first)
        });
    }
    first
}

/// Brings in one more entry; a firm of that number is barred then.
pub fn import_one(service: &Service, number: u64) -> Output {
    import_file(&server(service), &file_of(number..number + 1))
}

/// A file of so many entries, from a number on.
pub fn file_of(numbers: std::ops::Range<u64>) -> NamedTempFile {
    let rows: String = numbers.map(row).collect();
    let file = tempfile::Builder::new()
        .suffix(".csv")
        .tempfile()
        .expect("a file");
    std::fs::write(file.path(), format!("{HEAD}\n{rows}")).expect("a file");
    file
}

fn row(number: u64) -> String {
    format!(
        "E-B07-more-{number},B07,USCC,{},示例企业,enterprise,serious,演示部门,演示{number}号,虚构事由,320500,,\
         2026-03-01,2026-03-01,,EFFECTIVE\n",
        invented::uscc(number)
    )
}

/// Brings in a file of entries.
pub fn import_file(server: &str, file: &NamedTempFile) -> Output {
    let path = file.path().display().to_string();
    let source = ["--source-unit", "演示数据", "--server", server];
    run(&[&["lists", "import", &path], &source[..]].concat(), "")
}

/// Where a service is asked.
pub fn server(service: &Service) -> String {
    format!("http://{}", service.grpc)
}

/// What a process is to the lists; `None` when it does not answer.
pub fn role(service: &Service) -> Option<String> {
    let answer = service.get("/readyz")?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let ready: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(ready["lists_role"].as_str()?.to_owned())
}

/// The number of the last change that a process has.
pub fn seq(service: &Service) -> u64 {
    let seq = service.metric("creditgate_list_version_seq").to_string();
    seq.parse().expect("a whole number")
}

/// Waits until a process leads.
pub fn wait_for_lead(service: &Service) {
    wait_until("it leads", || role(service).as_deref() == Some("leads"));
}

/// The state of one of the entries is changed.
pub async fn apply_state(
    lists: &mut v1::lists_client::ListsClient<tonic::transport::Channel>,
    number: u64,
    to: &str,
) -> Result<v1::ApplyResponse, tonic::Status> {
    let change = v1::ChangeState {
        entry_id: format!("E-B07-more-{number}"),
        to: to.to_owned(),
        document_no: "演示".to_owned(),
        reason: "虚构事由".to_owned(),
        ..v1::ChangeState::default()
    };
    let request = v1::ApplyRequest {
        change: Some(v1::apply_request::Change::ChangeState(change)),
    };
    Ok(lists.apply(request).await?.into_inner())
}
