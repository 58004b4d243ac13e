//! A service under an access policy: the key of each caller is `k-` and its name.

use std::process::Command;

use creditgate_runtime::callers::hash_key;
use tempfile::TempDir;
use tonic::Request;
use tonic::transport::Channel;

use crate::{Service, binary};

/// A service that is ready, its directory with `keys.yaml`, `access.yaml`, `config.yaml` and `service.log`, and a channel to
/// it.
pub struct Guarded {
    /// Its directory.
    pub dir: TempDir,
    /// The service.
    pub service: Service,
    /// To its gRPC.
    pub channel: Channel,
}

impl Guarded {
    /// Starts a service under a policy in which each caller begins with `name: ` and its name, with more options.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(policy: &str, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let names = policy.lines().filter_map(|line| {
            let name = line.split_once("name: ")?.1;
            name.split(',').next()
        });
        let keys = names.map(|name| {
            let key = hash_key(&format!("k-{name}"));
            format!("- {{name: {name}, key_sha256: {key}}}\n")
        });
        let keys: String = keys.collect();
        std::fs::write(at("keys.yaml"), format!("callers:\n{keys}")).expect("written");
        std::fs::write(at("access.yaml"), policy).expect("written");
        let config = format!(
            "keys_file: {}\naccess: {{policy_file: {}}}\n",
            at("keys.yaml"),
            at("access.yaml")
        );
        std::fs::write(at("config.yaml"), config).expect("written");
        let log = dir.path().join("service.log");
        let config = at("config.yaml");
        let mut options = vec!["--config", config.as_str()];
        options.extend_from_slice(more);
        let mut service = Service::launch(Command::new(binary()), dir.path(), &log, &options);
        service.wait_until_ready();
        let address = format!("http://{}", service.grpc);
        let channel = Channel::from_shared(address).expect("an address");
        let channel = channel.connect().await.expect("the service");
        Self {
            dir,
            service,
            channel,
        }
    }
}

/// A request of a caller; none: of somebody without a key.
///
/// # Panics
/// When the name is no plain text.
#[must_use]
pub fn with_key<T>(message: T, caller: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(caller) = caller {
        let key = format!("Bearer k-{caller}").parse().expect("plain text");
        request.metadata_mut().insert("authorization", key);
    }
    request
}
