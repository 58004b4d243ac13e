//! What gRPC serves, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use creditgate_cases::deliveries::Deliveries;
use creditgate_cases::{Cases, CasesService};
use creditgate_gate::{Gate, TurnAway};
use creditgate_proto::v1::gate_server::GateServer;
use creditgate_registry::subscriptions::Webhooks;
use creditgate_registry::{self as registry, Registry};
use creditgate_runtime::access::{AccessService, Calls};
use creditgate_runtime::callers::Callers;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::shutdown::{Shutdown, Tasks};
use creditgate_runtime::tls::Tls;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use super::StartError;
use crate::admission::Admitted;
use crate::incoming::{connections_max, incoming};

/// The services whose health is told.
const SERVICES: [&str; 9] = [
    "Gate",
    "Lists",
    "Books",
    "Procedures",
    "Identity",
    "Subscriptions",
    "Cases",
    "Deliveries",
    "Access",
];
/// Largest message with the files of a book.
const BOOK_BYTES_MAX: usize = 32 << 20;
/// Bytes that a connection may have on their way to us.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Bytes that one stream may.
const STREAM_WINDOW: u32 = 512 << 10;
/// Bytes of a packed book, which is one message.
const PACK_BYTES: usize = 32 << 20;
/// Time for clients to hang up after everything under way has ended.
const HANG_UP_WITHIN: Duration = Duration::from_millis(500);

/// What gRPC serves.
pub(super) struct Grpc {
    pub(super) registry: Registry,
    pub(super) webhooks: Webhooks,
    /// None where this process only keeps lists.
    pub(super) gate: Option<Gate>,
    /// None where this process does not follow cases.
    pub(super) cases: Option<Cases>,
    /// As `cases`.
    pub(super) deliveries: Option<Deliveries>,
    pub(super) readiness: Readiness,
    pub(super) callers: Callers,
    pub(super) calls: Calls,
    pub(super) tls: Option<Tls>,
    pub(super) message_bytes: usize,
    /// Whether this process is the whole service: no other keeps simulations.
    pub(super) embedded: bool,
}

impl Grpc {
    /// Serves it in the background, until a stop is asked for and `drained` says that nothing is under way.
    ///
    /// # Errors
    /// When reflection cannot be built.
    pub(super) fn serve(
        self,
        tasks: &Tasks,
        listener: TcpListener,
        drained: Shutdown,
    ) -> Result<(), StartError> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(creditgate_proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let reflection_v1 = reflection().build_v1().map_err(StartError::Reflection)?;
        // Python's library still asks by the older name.
        let reflection_v1alpha = reflection()
            .build_v1alpha()
            .map_err(StartError::Reflection)?;
        let (reporter, health) = tonic_health::server::health_reporter();
        // Kept here: it outlives those who speak to it, and their end is told by themselves.
        let readiness = self.readiness;
        let connections = incoming(listener, self.tls, connections_max(), readiness.clone());
        let shutdown = tasks.shutdown().clone();
        tasks.spawn_named("health", async move {
            let mut follow = readiness.follow();
            loop {
                let status = match follow.borrow_and_update().ready {
                    true => ServingStatus::Serving,
                    false => ServingStatus::NotServing,
                };
                reporter.set_service_status("", status).await;
                for service in SERVICES {
                    let name = format!("creditgate.v1.{service}");
                    reporter.set_service_status(name, status).await;
                }
                tokio::select! {
                    () = shutdown.wait() => return Ok::<_, std::io::Error>(()),
                    changed = follow.changed() => if changed.is_err() { return Ok(()) },
                }
            }
        });
        let simulation = self.gate.as_ref().map(|gate| {
            let server = gate
                .simulation_service()
                .max_decoding_message_size(self.message_bytes.max(BOOK_BYTES_MAX));
            Admitted::new(server, self.callers.clone())
        });
        let simulations = self.gate.clone().filter(|_| self.embedded).map(|gate| {
            Arc::new(move |id: &str| gate.simulated(id)) as registry::book::Simulations
        });
        let identity = registry::IdentityService::new(self.registry.clone())
            .with_callers(self.callers.clone());
        let identity = match &self.cases {
            Some(cases) => identity.with_cases(Arc::new(cases.clone())),
            None => identity,
        };
        let cases = self.cases.map(|cases| {
            let server = CasesService::server(cases).max_decoding_message_size(self.message_bytes);
            Admitted::new(server, self.callers.clone())
        });
        let deliveries = self.deliveries.map(|deliveries| {
            let server = deliveries
                .server()
                .max_decoding_message_size(self.message_bytes);
            Admitted::new(server, self.callers.clone())
        });
        let gate = self.gate.map(|gate| {
            let server =
                GateServer::new(gate.clone()).max_decoding_message_size(self.message_bytes);
            Admitted::new(TurnAway::before(server, gate), self.callers.clone())
        });
        let lists = registry::Service::server(self.registry.clone())
            .max_decoding_message_size(self.message_bytes);
        let procedures = registry::ProceduresService::server(self.registry.clone());
        let identity = identity
            .server()
            .max_decoding_message_size(self.message_bytes);
        let books = registry::BooksService::server(self.registry, simulations)
            .max_decoding_message_size(self.message_bytes.max(PACK_BYTES));
        let subscriptions = self
            .webhooks
            .server()
            .max_decoding_message_size(self.message_bytes);
        let access = AccessService::server(self.callers.clone(), self.calls);
        let server = Server::builder()
            // Small items of an eager stream are bounded by the window in bytes, and by a share of it
            // in frames; the default lets one stream end its connection.
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .add_optional_service(gate)
            .add_optional_service(simulation)
            .add_optional_service(cases)
            .add_optional_service(deliveries)
            .add_service(Admitted::new(lists, self.callers.clone()))
            .add_service(Admitted::new(subscriptions, self.callers.clone()))
            .add_service(Admitted::new(procedures, self.callers.clone()))
            .add_service(Admitted::new(identity, self.callers.clone()))
            .add_service(Admitted::new(books, self.callers.clone()))
            .add_service(Admitted::new(access, self.callers))
            .add_service(health)
            .add_service(reflection_v1)
            .add_service(reflection_v1alpha)
            .serve_with_incoming_shutdown(connections, tasks.shutdown().waited());
        // Once nothing is under way any more, a client that does not hang up holds up nobody.
        tasks.spawn_named("grpc", async move {
        tokio::select! {
            served = server => served,
            () = async { drained.wait().await; tokio::time::sleep(HANG_UP_WITHIN).await } => Ok(()),
        }
    });
        Ok(())
    }
}
