//! Compiles the contract without `protoc`, and writes its descriptors for reflection.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 17] = [
    "creditgate/v1/event.proto",
    "creditgate/v1/entry.proto",
    "creditgate/v1/verdict.proto",
    "creditgate/v1/gate.proto",
    "creditgate/v1/lists.proto",
    "creditgate/v1/books.proto",
    "creditgate/v1/procedures.proto",
    "creditgate/v1/simulation.proto",
    "creditgate/v1/subscriptions.proto",
    "creditgate/v1/subject_report.proto",
    "creditgate/v1/identity.proto",
    "creditgate/v1/cases.proto",
    "creditgate/v1/deliveries.proto",
    "creditgate/v1/access.proto",
    "creditgate/journal/v1/cases.proto",
    "creditgate/journal/v1/desk.proto",
    "creditgate/journal/v1/records.proto",
];

/// Messages that hold identifiers or names: their `Debug` is written by hand, masked.
const MASKED: [&str; 40] = [
    ".creditgate.v1.Event",
    ".creditgate.v1.Subject",
    ".creditgate.v1.Entry",
    ".creditgate.v1.RelatedSubject",
    ".creditgate.v1.Alias",
    ".creditgate.v1.SubjectQuery",
    ".creditgate.v1.OpenProcedureRequest",
    ".creditgate.v1.StepProcedureRequest",
    ".creditgate.v1.ProcedureStepTaken",
    ".creditgate.v1.RenderNoticeRequest",
    ".creditgate.v1.RenderNoticeResponse",
    ".creditgate.v1.RecordServiceRequest",
    ".creditgate.v1.RecordMeasureRequest",
    ".creditgate.v1.FieldChange",
    ".creditgate.v1.KnownName",
    ".creditgate.v1.IdentityChange",
    ".creditgate.v1.ChangeNameRequest",
    ".creditgate.v1.CodeProposal",
    ".creditgate.v1.SubjectMoment",
    ".creditgate.v1.WrongHit",
    ".creditgate.v1.OpenWrongHitRequest",
    ".creditgate.v1.GetSubjectReportRequest",
    ".creditgate.v1.Inquiry",
    ".creditgate.v1.ReportedEntry",
    ".creditgate.journal.v1.NameChanged",
    ".creditgate.journal.v1.StatementKept",
    ".creditgate.journal.v1.EntryPut",
    ".creditgate.journal.v1.ProcedureStep",
    ".creditgate.journal.v1.NoticeServed",
    ".creditgate.v1.Feedback",
    ".creditgate.v1.ProposalDecision",
    ".creditgate.v1.DecideProposalRequest",
    ".creditgate.v1.CloseCaseRequest",
    ".creditgate.v1.CaseClosing",
    ".creditgate.v1.ProposalResponse",
    ".creditgate.journal.v1.ProposalDecided",
    ".creditgate.journal.v1.CaseClosed",
    ".creditgate.journal.v1.MeasureTaken",
    ".creditgate.journal.v1.InspectionReported",
    ".creditgate.journal.v1.ListsTold",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    let bytes = files.encode_to_vec();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("creditgate.fds"), &bytes)?;
    // `compile_well_known_types` keeps tonic's own mapping away, which would be a second one of the
    // same path; ordered maps make bytes and texts the same in every run.
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .codec_path("crate::codec::StrictCodec")
        .extern_path(".google.protobuf", "::pbjson_types")
        .btree_map(".")
        .skip_debug(MASKED)
        .compile_fds(files)?;
    pbjson_build::Builder::new()
        .register_descriptors(&bytes)?
        .preserve_proto_field_names()
        .btree_map(["."])
        .build(&[".creditgate.v1"])?;
    Ok(())
}
