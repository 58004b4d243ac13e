//! `creditgate journal verify-topic`: the chains of verdicts on their topic, from the first that is kept to the last.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use creditgate_runtime::hex::hex;
use creditgate_runtime::kafka::chain::{Broken, Chains, Control, Place};
use creditgate_runtime::kafka::{Cluster, Error, Incoming, Read, Reader, Topic};

use crate::bench;
use crate::cli::VerifyTopicArgs;
use crate::failure::Failure;

/// How long one look for a record takes, and how long brokers may say nothing.
const LOOK: Duration = Duration::from_millis(200);
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// Pause before an end that is not there is believed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

pub(super) fn verify(args: &VerifyTopicArgs) -> Result<ExitCode, Failure> {
    let cluster = bench::cluster(&args.cluster, &args.kafka_topic_prefix)?;
    let mut walked = walk(&cluster, &args.receipts)?;
    if matches!(walked, Err(Broken::CutOff { .. })) {
        // The end of a transaction is told to each topic by itself.
        std::thread::sleep(LOOK_AGAIN);
        walked = walk(&cluster, &args.receipts)?;
    }
    match walked {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::from(1)),
        Err(broken) => {
            say!("BROKEN: {broken}");
            say!("nothing is proven of what follows the place that is named");
            Ok(ExitCode::from(1))
        }
    }
}

/// First what the topic of chains says, then the verdicts: those can only be further. False: a receipt's record is not there.
fn walk(cluster: &Cluster, receipts: &[Place]) -> Result<Result<bool, Broken>, Failure> {
    let mut control = Control::default();
    let told = read(cluster, Topic::Chain, |record| control.take(record))?;
    if let Err(broken) = told.and_then(|()| control.verify()) {
        return Ok(Err(broken));
    }
    let writers = control.writers().count();
    let mut chains = Chains::new(&control).against(receipts.to_vec());
    if let Err(broken) = read(cluster, Topic::Verdicts, |record| chains.take(record))? {
        return Ok(Err(broken));
    }
    let without = chains.without();
    let unmet = chains.unmet().to_vec();
    let (walked, gone) = match chains.end() {
        Ok(ended) => ended,
        Err(broken) => return Ok(Err(broken)),
    };
    for (writer, chain) in &walked {
        say!(
            "{writer:<12} records {} to {} hold, the last in segment {}; its hash is {}",
            chain.first,
            chain.last,
            chain.segment,
            hex(&chain.hash)
        );
        if chain.first > 1 {
            say!(
                "             records 1 to {} are not there: the topic does not keep them any more, or somebody took them away",
                chain.first - 1
            );
        }
    }
    for writer in gone {
        say!(
            "{writer:<12} none of its records is there: the topic does not keep them any more, or somebody took them away"
        );
    }
    if without > 0 {
        say!("{without} verdicts are in no chain: those of synchronous checks and of reviews");
    }
    for Place {
        writer, sequence, ..
    } in receipts.iter().filter(|receipt| !unmet.contains(receipt))
    {
        say!("receipt: record {sequence} of {writer} is the one it names");
    }
    for Place {
        writer, sequence, ..
    } in &unmet
    {
        say!(
            "receipt BROKEN: record {sequence} of {writer} is not there: the topic does not keep it any more, or somebody took it \
             away"
        );
    }
    say!(
        "proven: order and completeness of the chains of {writers} writers, from the first record that is there to the last, \
         against whoever cannot write both topics. Not proven: that none was written anew with its heads, for there are no \
         signed check points with Kafka yet; keep the hashes above elsewhere, and compare"
    );
    Ok(Ok(unmet.is_empty()))
}

/// Reads what is committed in a topic, each partition in its order, up to where it ends now.
fn read(
    cluster: &Cluster,
    topic: Topic,
    mut take: impl FnMut(&Incoming) -> Result<(), Broken>,
) -> Result<Result<(), Broken>, Failure> {
    let name = cluster.topic(topic);
    let failed = |error: Error| Failure::new(format!("read the topic {name}"), error);
    let count = Reader::partitions(cluster, topic, ANSWERED_WITHIN).map_err(failed)?;
    let places: Vec<(i32, Option<i64>)> = (0..count).map(|partition| (partition, None)).collect();
    let reader = Reader::open(cluster, topic, &places).map_err(failed)?;
    let mut ended = BTreeSet::new();
    let mut heard = Instant::now();
    while ended.len() < places.len() {
        match reader.next(LOOK).map_err(failed)? {
            Read::Record(record) => {
                if let Err(broken) = take(&record) {
                    return Ok(Err(broken));
                }
            }
            Read::End(partition) => {
                ended.insert(partition);
            }
            Read::Nothing if heard.elapsed() > ANSWERED_WITHIN => {
                return Err(Failure::plain(format!(
                    "the brokers do not give the end of the topic {name}: are all of them there? May this login read it?"
                )));
            }
            Read::Nothing => continue,
        }
        heard = Instant::now();
    }
    Ok(Ok(()))
}
