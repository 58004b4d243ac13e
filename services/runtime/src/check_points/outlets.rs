//! The anchors that lines are sent to: a topic of some Kafka cluster, and a webhook.

use std::time::Duration;

use bytes::Bytes;

use super::relay::{Delivery, Letter, NotTaken, Outlet};
use crate::clock::Clock;
use crate::errors::Chain;
use crate::kafka::{self, Cluster};
use crate::webhook::{Secrets, Sender, Target, signature};

/// Time for all copies in sync to have a line.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(30);

/// A topic, perhaps of another cluster than the one that is worked with. The key of a record is the log that its check point
/// is of, the value is the line: what it holds of one key, a line each, is a file as `journal verify --anchor` reads it.
pub struct TopicOutlet {
    sender: kafka::Sender,
    topic: String,
}

impl TopicOutlet {
    /// One that writes to this topic, by its full name.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn open(cluster: &Cluster, topic: String) -> Result<Self, kafka::Error> {
        Ok(Self {
            sender: kafka::Sender::open(cluster, CONFIRMED_WITHIN)?,
            topic,
        })
    }
}

impl Outlet for TopicOutlet {
    fn kind(&self) -> &'static str {
        "topic"
    }

    fn place(&self) -> String {
        format!("topic `{}`", self.topic)
    }

    fn deliver<'a>(&'a self, letter: &'a Letter) -> Delivery<'a> {
        Box::pin(async move {
            let sent = self
                .sender
                .send_to(&self.topic, &letter.log, letter.line.as_bytes());
            sent.await.map_err(|error| NotTaken {
                why: Chain(&error).to_string(),
                pause: None,
            })
        })
    }
}

/// A webhook: each line is the body of a request, signed as all webhooks are.
pub struct WebhookOutlet {
    sender: Sender,
    secrets: Secrets,
    secret_id: String,
    target: Target,
    clock: Clock,
}

impl WebhookOutlet {
    /// One that sends to this target, by a sender that knows where it may send.
    #[must_use]
    pub fn new(
        sender: Sender,
        secrets: Secrets,
        secret_id: String,
        target: Target,
        clock: Clock,
    ) -> Self {
        Self {
            sender,
            secrets,
            secret_id,
            target,
            clock,
        }
    }

    async fn post(&self, letter: &Letter) -> Result<(), NotTaken> {
        let failed = |why: String| NotTaken { why, pause: None };
        // Somebody may put it in its place.
        let key = self.secrets.key(&self.secret_id);
        let key = key.map_err(|error| failed(error.to_string()))?;
        let seconds = self.clock.now_micros().div_euclid(1_000_000);
        let body = letter.line.as_bytes();
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("creditgate-id", format!("{}:{}", letter.log, letter.number)),
            ("creditgate-signature", signature(&key, seconds, body)),
        ];
        let body = Bytes::copy_from_slice(body);
        let sent = self.sender.post(&self.target, headers, body).await;
        let answer = sent.map_err(|error| failed(Chain(&error).to_string()))?;
        match answer.status {
            200..=299 => Ok(()),
            status => Err(NotTaken {
                why: format!("it answered {status}"),
                pause: answer.retry_after,
            }),
        }
    }
}

impl Outlet for WebhookOutlet {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn place(&self) -> String {
        let Target {
            authority,
            path_and_query,
            ..
        } = &self.target;
        // What stands behind a `?` may be a secret of the receiver's.
        let path = path_and_query.split('?').next().unwrap_or_default();
        format!("webhook `{authority}{path}`")
    }

    fn deliver<'a>(&'a self, letter: &'a Letter) -> Delivery<'a> {
        Box::pin(self.post(letter))
    }
}
