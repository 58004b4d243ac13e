//! `journal`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use creditgate_runtime::journal::Receipt;
use creditgate_runtime::kafka::chain::Place;

use super::KeyringArgs;

/// `journal`.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Prove that no record of a data directory was changed, dropped or moved since it was written.
    Verify(VerifyArgs),
    /// Prove that no verdict of the stream was changed, dropped or moved on its Kafka topic.
    VerifyTopic(VerifyTopicArgs),
    /// Write what proves one verdict, for the file of its matter: what was decided, on what, and that it was recorded so.
    Evidence(EvidenceArgs),
    /// Prove a package that `evidence` wrote, by nothing but the package and the public key.
    VerifyEvidence(VerifyEvidenceArgs),
}

/// `journal verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each record carries the hash of the one before it. The journals of changes, verdicts and cases are read from \
their first record to their last, beside a running service or from a copy; nothing is written, and no keyring is needed where \
they are sealed. (Simulations and shadow runs \
are not among them.) Ends with 0 when all links hold, and with 1 when one does not: the first bad record is named, or the one before it. What broke off behind the last record counts \
as one that does not, unless check points show that everything signed is there. 2: it could not be read.

Hashes alone do not show that an end was cut off, or that a tail or the whole was written anew. With the public key of the \
service (`journal.signing_key_file`) its check points are held against the journals; with an anchor (`journal.anchor_file`) \
those that it cannot take back. Copy the anchor first, then check-points.jsonl, then the journals: what is copied later goes \
further.

With --from only the records behind a check point are read, which is named by its number (check-point:12, or anchor:12 of \
the file of --anchor), or by a record of the verdicts (500000: the last check point before it). The check points themselves are \
all read. What was not read is told: for that the signature of that check point vouches, and without --key nobody.

Examples:
  creditgate journal verify --data-dir ./data
  creditgate journal verify --data-dir ./copy --key journal-key.pub.pem --anchor /mnt/audit/anchor.jsonl
  creditgate journal verify --data-dir ./copy --key journal-key.pub.pem --from check-point:20160"
)]
pub struct VerifyArgs {
    /// The data directory, or a copy of it.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Public key that signed check points; may be named again, for each key there was.
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// Check points that were kept elsewhere.
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub anchor: Option<PathBuf>,
    /// Where to begin instead of the first record: check-point:NUMBER, anchor:NUMBER, or a record of the verdicts.
    #[arg(long, value_name = "START")]
    pub from: Option<Start>,
    /// What an answer bore as its receipt (SEQUENCE:HASH): whether the verdict's record is still there.
    #[arg(long = "receipt", value_name = "RECEIPT")]
    pub receipts: Vec<Receipt>,
}

/// Where a verification begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind this check point of the data directory.
    CheckPoint(u64),
    /// Behind this check point of the anchor.
    Anchor(u64),
    /// Behind the last check point of the data directory that leaves this record of the verdicts to be read.
    Record(u64),
}

/// A text that is no [`Start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a start is `check-point:12`, `anchor:12`, or the number of a record of the verdicts such as `500000`"
)]
pub struct NoStart;

impl FromStr for Start {
    type Err = NoStart;

    fn from_str(text: &str) -> Result<Self, NoStart> {
        let number = |digits: &str| match digits.parse::<u64>() {
            Ok(0) | Err(_) => Err(NoStart),
            Ok(number) => Ok(number),
        };
        match text.split_once(':') {
            Some(("check-point", digits)) => number(digits).map(Self::CheckPoint),
            Some(("anchor", digits)) => number(digits).map(Self::Anchor),
            Some(_) => Err(NoStart),
            None => number(text).map(Self::Record),
        }
    }
}

/// `journal verify-topic`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each verdict that the stream writes bears a header `creditgate-chain`: the writer, its segment, the number of \
the record, the hash of the one before it and its own. What each writer has come to stands in the topic of chains, written in \
the same transaction. All committed records of both topics are read, beside running services; nothing is written. Verdicts of \
synchronous checks and of reviews bear no such header and are counted.

Ends with 0 when every chain holds, and with 1 when one does not: the first bad record is named. 2: it could not be read.

Example:
  creditgate journal verify-topic --kafka kafka-1:9092 --kafka-config security.protocol=SSL"
)]
pub struct VerifyTopicArgs {
    /// The cluster.
    #[command(flatten)]
    pub cluster: super::BenchKafka,
    /// What the names of topics begin with.
    #[arg(long, value_name = "PREFIX", default_value = "creditgate")]
    pub kafka_topic_prefix: String,
    /// What a verdict bore as its header `creditgate-chain`: whether its record is still there.
    #[arg(long = "receipt", value_name = "TEXT")]
    pub receipts: Vec<Place>,
}

/// `journal evidence`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads a data directory, beside a running service or from a copy, and writes nothing there. The verdict is \
decided again, which is told. The package is a new directory:

  evidence.html     what was checked, decided and proven, for people: Chinese with English, prints on A4; identifiers and
                    names of persons are masked in it. It may be handed on alone.
  verdict.json, event.json, entries.json, measures.json, receipt.txt
                    the verdict, the event as judged, the entries and the rows of the book that were used
  record.bin, chain.bin, check-point.json, entries.bin, book.bin
                    the raw records and the signed check point, from which all of the above follows
  record-keys.json  where the journals are sealed: the keys of the records that are shown, each of one record alone
  package.json, SHA256SUMS
                    how it was made; the digests of all files (`sha256sum -c SHA256SUMS`)

The chain from the verdict to the next check point can only be proven with the records in between, whole: they are of \
others. Where the journals are sealed those stay sealed, since no key of theirs is handed out; where not, all can be read. The \
verdict's own record also names entries that were found and not used, which no caller is told. So all but \
evidence.html is for those who may read the journal. With a check point every minute there are few; more \
than --chain-mib are refused. What no check point covers yet is proven by the receipt alone, against the journal.

Examples:
  creditgate journal evidence VERDICT_ID --data-dir ./data --out ./evidence-T-2026-1 --key journal-key.pub.pem
  creditgate journal verify-evidence ./evidence-T-2026-1 --key journal-key.pub.pem"
)]
pub struct EvidenceArgs {
    /// The verdict.
    #[arg(value_name = "VERDICT_ID")]
    pub verdict_id: String,
    /// The data directory, or a copy of it.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// What opens sealed records.
    #[command(flatten)]
    pub keyring: KeyringArgs,
    /// The package: a directory that is not there yet.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Public key that signed check points; may be named again, for each key there was.
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// Show identifiers and names of persons in evidence.html in full.
    #[arg(long)]
    pub unmasked: bool,
    /// Most MiB of records between the verdict and its check point; 0 leaves both out.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u64).range(0..=4096))]
    pub chain_mib: u64,
}

/// `journal verify-evidence`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every file is held against SHA256SUMS, then made again from the raw records and compared; the records are \
followed to the check point, and that one is held against the public key. The key must come from those who audit, not from \
whoever handed on the package.

Ends with 0 when all holds, and with 1 when something does not, or when a key is named and no check point shows that the \
verdict was recorded. 2: it could not be read."
)]
pub struct VerifyEvidenceArgs {
    /// The package.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Public key that signed check points; may be named again, for each key there was.
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_check_point_or_a_record() {
        let check = |text: &str, due: Result<Start, NoStart>| {
            assert_eq!(text.parse(), due, "{text}");
        };
        check("check-point:12", Ok(Start::CheckPoint(12)));
        check("anchor:3", Ok(Start::Anchor(3)));
        check("500000", Ok(Start::Record(500_000)));
        for text in [
            "",
            "0",
            "-1",
            "x",
            "check-point",
            "check-point:",
            "anchor:0",
            "verdicts:7",
        ] {
            check(text, Err(NoStart));
        }
    }
}
