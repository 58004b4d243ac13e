//! The closed sets that labels are taken from.

/// Declares an enum whose variants each have one label, and knows them all.
macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// All of them; each stands at its own index.
            pub const ALL: &[$name] = &[$($name::$variant,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The text in metrics.
            pub const fn label(self) -> &'static str {
                match self {
                    $($name::$variant => $label,)+
                }
            }

            #[inline]
            pub(super) const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

labels! {
    /// How a check came in.
    Transport {
        /// gRPC, one call.
        GrpcCheck = "grpc_check",
        /// gRPC, an item of a batch.
        GrpcBatch = "grpc_batch",
        /// gRPC, an item of a stream.
        GrpcStream = "grpc_stream",
        /// HTTP, JSON.
        HttpCheck = "http_check",
        /// HTTP, a CloudEvent.
        HttpEvents = "http_events",
        /// Kafka, a CloudEvent.
        Kafka = "kafka",
    }
}

labels! {
    /// Why a check was answered with an error.
    Refusal {
        /// The event breaks a rule of its form.
        Invalid = "invalid",
        /// The request is larger than allowed.
        TooLarge = "too_large",
        /// The caller was not recognised.
        Unauthenticated = "unauthenticated",
        /// The caller may not check.
        Forbidden = "forbidden",
        /// The same event came before with other content.
        Conflict = "conflict",
        /// The list version asked for did not come in time.
        ListsBehind = "lists_behind",
        /// More checks under way than allowed.
        Overloaded = "overloaded",
        /// More checks a second than agreed with the caller.
        TooMany = "too_many",
        /// The service is starting or stopping.
        NotReady = "not_ready",
        /// The caller's deadline passed.
        Deadline = "deadline",
        /// The caller went away, or the work was dropped before it had an answer.
        Cancelled = "cancelled",
        /// A fault of ours.
        Internal = "internal",
    }
}

labels! {
    /// What became of an event from Kafka.
    StreamEnd {
        /// It has a verdict.
        Verdict = "verdict",
        /// It had one before.
        Repeated = "repeated",
        /// Dead letter: its bytes are no event.
        Undecodable = "undecodable",
        /// Dead letter: it breaks a rule.
        Refused = "refused",
        /// Dead letter: the same event came before with other content.
        Conflict = "conflict",
        /// Dead letter: larger than a record may be.
        TooLarge = "too_large",
    }
}

labels! {
    /// How a transaction on Kafka ended.
    TransactionEnd {
        /// Confirmed.
        Committed = "committed",
        /// Not confirmed; looked up, and done again where it is missing.
        Doubtful = "doubtful",
    }
}

labels! {
    /// What a process is to the lists.
    ListsRole {
        /// It alone keeps them, in its own directory.
        Embedded = "embedded",
        /// It keeps them for all, on Kafka.
        Leads = "leads",
        /// It follows them, and leads when the one that leads is gone.
        StandsBy = "stands_by",
        /// It follows them.
        Follows = "follows",
    }
}

labels! {
    /// What a process is to the cases.
    CasesRole {
        /// It keeps them, for all where there are several.
        Leads = "leads",
        /// It takes in what another one records, and leads when that one is gone.
        StandsBy = "stands_by",
        /// It has not read everything that was recorded yet, and answers nothing.
        Reading = "reading",
    }
}

labels! {
    /// Why a list change was refused.
    ChangeRefusal {
        /// The change breaks a rule of its form.
        Invalid = "invalid",
        /// The book has no such list.
        UnknownList = "unknown_list",
        /// There is no such entry.
        UnknownEntry = "unknown_entry",
        /// The life cycle does not lead from the entry's state to the state asked for.
        Transition = "transition",
        /// The entry id belongs to something else already.
        Conflict = "conflict",
        /// The caller may not change lists.
        Forbidden = "forbidden",
        /// This process follows the lists; another one changes them.
        Follows = "follows",
        /// This process stands by; another one changes the lists.
        StandsBy = "stands_by",
        /// A fault of ours.
        Internal = "internal",
    }
}

labels! {
    /// What became of a request to a webhook.
    DeliveryEnd {
        /// Taken and acknowledged.
        Acknowledged = "acknowledged",
        /// Taken, and not acknowledged with the answer.
        Delivered = "delivered",
        /// Answered with an error that may pass.
        Failed = "failed",
        /// Refused as it is.
        Refused = "refused",
        /// No answer, or no connection.
        Unreachable = "unreachable",
        /// Not sent: the target or the secret is not right.
        NotSent = "not_sent",
    }
}

labels! {
    /// What became of a request with a verdict, a lift order or a notice.
    PostEnd {
        /// Taken.
        Delivered = "delivered",
        /// Answered with an error that may pass.
        Failed = "failed",
        /// Refused for good.
        Refused = "refused",
        /// No answer, or no connection.
        Unreachable = "unreachable",
        /// Not sent: the target or the secret is not right.
        NotSent = "not_sent",
    }
}

labels! {
    /// Why a verdict was not compared with the book that runs beside the one in force.
    NotCompared {
        /// Too much was to be compared already.
        Busy = "busy",
        /// The lists are indexed with another table of characters than that of the book.
        NameTable = "name_table",
    }
}

labels! {
    /// What is exported.
    Signal {
        /// Traces.
        Traces = "traces",
        /// Metrics.
        Metrics = "metrics",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_own_index() {
        assert!(
            Transport::ALL
                .iter()
                .enumerate()
                .all(|(index, one)| one.index() == index)
        );
        assert!(
            Refusal::ALL
                .iter()
                .enumerate()
                .all(|(index, one)| one.index() == index)
        );
        assert!(
            ChangeRefusal::ALL
                .iter()
                .enumerate()
                .all(|(index, one)| one.index() == index)
        );
        assert!(
            DeliveryEnd::ALL
                .iter()
                .enumerate()
                .all(|(index, one)| one.index() == index)
        );
        assert!(
            PostEnd::ALL
                .iter()
                .enumerate()
                .all(|(index, one)| one.index() == index)
        );
        assert!(
            ListsRole::ALL
                .iter()
                .enumerate()
                .all(|(index, one)| one.index() == index)
        );
        assert!(
            Signal::ALL
                .iter()
                .enumerate()
                .all(|(index, one)| one.index() == index)
        );
    }
}
