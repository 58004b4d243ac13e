//! A connection to the service, with the caller's key on every call.

use std::time::Duration;

use creditgate_proto::v1::books_client::BooksClient;
use creditgate_proto::v1::cases_client::CasesClient;
use creditgate_proto::v1::deliveries_client::DeliveriesClient;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_proto::v1::identity_client::IdentityClient;
use creditgate_proto::v1::lists_client::ListsClient;
use creditgate_proto::v1::procedures_client::ProceduresClient;
use creditgate_proto::v1::simulation_client::SimulationClient;
use creditgate_proto::v1::subscriptions_client::SubscriptionsClient;
use creditgate_runtime::callers::REASON_BIN;
use tonic::metadata::{Ascii, Binary, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as Shown};
use tonic::{Request, Status};

use crate::cli::ServerArgs;
use crate::failure::Failure;

/// Longest message a client takes: a full batch of verdicts.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Puts the bearer key on every call, and why people are asked to be shown in full.
#[derive(Clone)]
pub struct Bearer {
    key: Option<MetadataValue<Ascii>>,
    unmasked_for: Option<MetadataValue<Binary>>,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.key {
            request.metadata_mut().insert("authorization", key.clone());
        }
        if let Some(reason) = &self.unmasked_for {
            let metadata = request.metadata_mut();
            metadata.insert_bin(REASON_BIN, reason.clone());
        }
        Ok(request)
    }
}

/// The gate, called with the key.
pub type Gate = GateClient<InterceptedService<Channel, Bearer>>;
/// The lists, called with the key.
pub type Lists = ListsClient<InterceptedService<Channel, Bearer>>;

/// Who a subject is, called with the key.
pub type Identity = IdentityClient<InterceptedService<Channel, Bearer>>;

/// The books, called with the key.
pub type Books = BooksClient<InterceptedService<Channel, Bearer>>;

/// Procedures and notices, called with the key.
pub type Procedures = ProceduresClient<InterceptedService<Channel, Bearer>>;

/// Simulations and the shadow, called with the key.
pub type Simulation = SimulationClient<InterceptedService<Channel, Bearer>>;

/// Subscriptions, called with the key.
pub type Subscriptions = SubscriptionsClient<InterceptedService<Channel, Bearer>>;

/// Cases, called with the key.
pub type Cases = CasesClient<InterceptedService<Channel, Bearer>>;

/// Deliveries, called with the key.
pub type Deliveries = DeliveriesClient<InterceptedService<Channel, Bearer>>;

/// All services behind one connection.
pub struct Client {
    /// Checks and verdicts.
    pub gate: Gate,
    /// Entries and their changes.
    pub lists: Lists,
    /// Who a subject is.
    pub identity: Identity,
    /// Books and how they come into force.
    pub books: Books,
    /// Procedures and notices.
    pub procedures: Procedures,
    /// Simulations and the shadow.
    pub simulation: Simulation,
    /// Departments that changes are sent to.
    pub subscriptions: Subscriptions,
    /// Cases, from their first check to the last measure that is lifted.
    pub cases: Cases,
    /// Systems that verdicts, lift orders and notices are sent to.
    pub deliveries: Deliveries,
}

/// Whom the caller trusts, and what it shows of itself.
fn tls(server: &ServerArgs) -> Result<ClientTlsConfig, Failure> {
    let read = |file: &std::path::Path| {
        let failed = format!("read `{}`", file.display());
        std::fs::read(file).map_err(|error| Failure::new(failed, error))
    };
    let tls = ClientTlsConfig::new();
    let tls = match &server.ca_file {
        Some(file) => tls.ca_certificate(Certificate::from_pem(read(file)?)),
        None => tls.with_native_roots(),
    };
    Ok(match &server.certificate_file {
        Some(file) => {
            let both = read(file)?;
            tls.identity(Shown::from_pem(&both, &both))
        }
        None => tls,
    })
}

impl Client {
    /// Connects to the service that the command line names.
    pub async fn connect(server: &ServerArgs) -> Result<Self, Failure> {
        let key = server.key().map_err(|error| {
            let file = server
                .key_file
                .as_deref()
                .unwrap_or_else(|| std::path::Path::new(""));
            Failure::new(format!("read the key file `{}`", file.display()), error)
        })?;
        let tls = match server.server.starts_with("https://") {
            true => Some(tls(server)?),
            false if server.ca_file.is_some() || server.certificate_file.is_some() => {
                return Err(Failure::plain(
                    "certificates are for `https://`: give `--server` as such an address, or leave `--ca-file` and \
                     `--certificate-file` out",
                ));
            }
            false => None,
        };
        let unmasked_for = server.unmasked_for.as_deref();
        Self::over(&server.server, key.as_deref(), unmasked_for, tls).await
    }

    /// Connects to an address, in clear.
    pub async fn to(url: &str, key: Option<&str>) -> Result<Self, Failure> {
        Self::over(url, key, None, None).await
    }

    async fn over(
        url: &str,
        key: Option<&str>,
        unmasked_for: Option<&str>,
        tls: Option<ClientTlsConfig>,
    ) -> Result<Self, Failure> {
        let url = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let attempted = format!("connect to {url} (is `creditgate serve` running there?)");
        let mut endpoint = Endpoint::from_shared(url)
            .map_err(|error| Failure::new("read the address of the service", error))?
            .connect_timeout(Duration::from_secs(5));
        if let Some(tls) = tls {
            let configured = endpoint.tls_config(tls);
            endpoint = configured.map_err(|error| Failure::new("set up TLS", error))?;
        }
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| Failure::new(attempted, error))?;
        let key = key
            .map(|key| {
                let mut value: MetadataValue<Ascii> = format!("Bearer {key}").parse()?;
                value.set_sensitive(true);
                Ok::<_, tonic::metadata::errors::InvalidMetadataValue>(value)
            })
            .transpose()
            .map_err(|error| Failure::new("use the bearer key", error))?;
        let bearer = Bearer {
            key,
            unmasked_for: unmasked_for.map(|why| MetadataValue::from_bytes(why.as_bytes())),
        };
        let service = |channel: Channel| InterceptedService::new(channel, bearer.clone());
        Ok(Self {
            gate: GateClient::new(service(channel.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            lists: ListsClient::new(service(channel.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            identity: IdentityClient::new(service(channel.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            books: BooksClient::new(service(channel.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            subscriptions: SubscriptionsClient::new(service(channel.clone())),
            deliveries: DeliveriesClient::new(service(channel.clone())),
            procedures: ProceduresClient::new(service(channel.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            cases: CasesClient::new(service(channel.clone()))
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            simulation: SimulationClient::new(service(channel))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
        })
    }
}
