//! The limit: events copied to the verdicts, in the same transactions as the pipeline's; or, for each
//! event, two records that the pipeline wrote, a verdict and the state of a case.
//!
//! Group, loops, producers and batches are the pipeline's own; between reading and writing nothing
//! is done. Whatever goes wrong ends the process: a copy that has to try again measures nothing.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use creditgate_runtime::kafka::group::{Lane, Next};
use creditgate_runtime::kafka::{Cluster, Group, Incoming, Outgoing, Topic, Writer, topics};
use creditgate_runtime::shutdown;
use creditgate_stream::AGES_UNDER_LOAD;

use super::samples::Samples;
use crate::failure::Failure;

/// The group's name after the prefix.
const GROUP: &str = "copy";
/// Time for the coordinator to give a transactional id to a new producer.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(30);
/// How often a loop without records looks around.
const LOOK: Duration = Duration::from_millis(200);

/// Copies until it is asked to stop; with samples, what is written are these.
pub async fn serve(cluster: &Cluster, samples: Option<&Path>) -> Result<ExitCode, Failure> {
    let samples = samples.map(Samples::read).transpose()?;
    let mut signals =
        shutdown::signals().map_err(|error| Failure::new("listen for signals", error))?;
    let ready = topics::ensure(cluster)
        .await
        .map_err(|error| Failure::new("use Kafka", error))?;
    let (trouble, mut troubled) = tokio::sync::mpsc::unbounded_channel();
    let group = {
        let cluster = cluster.clone();
        let join = move || {
            let writing = cluster.clone();
            Group::join(
                &cluster,
                Topic::Events,
                ready.partitions,
                GROUP,
                |_| {},
                move |lane| {
                    if let Err(failure) = copy(&lane, &writing, samples.as_ref()) {
                        // Without a listener the process ends anyhow.
                        let _ = trouble.send(failure);
                    }
                },
            )
        };
        tokio::task::spawn_blocking(join)
            .await
            .map_err(|error| Failure::new("join the group", error))?
            .map_err(|error| Failure::new("join the group", error))?
    };
    tokio::select! {
        _ = signals.recv() => {}
        Some(failure) = troubled.recv() => return Err(failure),
    }
    tokio::task::spawn_blocking(move || group.leave())
        .await
        .map_err(|error| Failure::new("leave the group", error))?
        .map_err(|error| Failure::new("leave the group", error))?;
    Ok(ExitCode::SUCCESS)
}

/// What a transaction holds.
struct Open {
    since: Instant,
    events: usize,
    next_offset: i64,
}

/// The loop of one partition.
fn copy(lane: &Lane, cluster: &Cluster, samples: Option<&Samples>) -> Result<(), Failure> {
    let settings = cluster.settings();
    let mut writer = Writer::of_batches(cluster, &format!("copy-{}", lane.partition));
    writer
        .renew(TAKE_OVER_WITHIN)
        .map_err(|error| Failure::new("take over a partition", error))?;
    let begin = lane
        .committed()
        .map_err(|error| Failure::new("take over a partition", error))?;
    let failed = |error| Failure::new("copy in a transaction", error);
    let mut open: Option<Open> = None;
    loop {
        let is_full = open.as_ref().is_some_and(|open| {
            // As the pipeline's.
            let age = match lane.has_waiting() {
                true => settings.batch * AGES_UNDER_LOAD,
                false => settings.batch,
            };
            open.events >= settings.batch_events || open.since.elapsed() >= age
        });
        if (is_full || lane.is_stopping())
            && let Some(full) = open.take()
        {
            let offsets = lane
                .offsets(full.next_offset)
                .map_err(|error| Failure::new("commit the group's place", error))?;
            writer.commit(Some(&offsets)).map_err(failed)?;
        }
        if lane.is_stopping() {
            return Ok(());
        }
        let patience = open.as_ref().map_or(LOOK, |open| {
            settings.batch.saturating_sub(open.since.elapsed())
        });
        let Next::Record(record) = lane.next(patience) else {
            continue;
        };
        if record.offset < begin {
            continue;
        }
        let open = match &mut open {
            Some(open) => open,
            none => {
                writer.begin().map_err(failed)?;
                none.insert(Open {
                    since: Instant::now(),
                    events: 0,
                    next_offset: record.offset,
                })
            }
        };
        open.events += 1;
        open.next_offset = record.offset + 1;
        match samples {
            None => writer.add(&copied(record)).map_err(failed)?,
            Some(samples) => {
                let both = samples.both(&record);
                both.iter()
                    .try_for_each(|record| writer.add(record))
                    .map_err(failed)?;
            }
        }
    }
}

/// The record as it goes on: the same, on the topic of the verdicts.
fn copied(record: Incoming) -> Outgoing {
    Outgoing {
        topic: Topic::Verdicts,
        partition: Some(record.partition),
        key: record.key.unwrap_or_default(),
        headers: record.headers,
        payload: record.payload.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_partition_key_headers_and_payload() {
        let headers = vec![("ce_id".to_owned(), Some(b"e1".to_vec()))];
        let copied = copied(Incoming {
            partition: 3,
            offset: 9,
            timestamp_ms: None,
            key: Some(b"case".to_vec()),
            headers: headers.clone(),
            payload: Some(b"{}".to_vec()),
        });
        let expected = Outgoing {
            topic: Topic::Verdicts,
            partition: Some(3),
            key: b"case".to_vec(),
            headers,
            payload: b"{}".to_vec(),
        };
        assert_eq!(copied, expected);
    }
}
