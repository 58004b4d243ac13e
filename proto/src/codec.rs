//! The codec of every call: a message that is not Protobuf is the sender's fault, and is told so.
//!
//! The usual codec answers INTERNAL, which sends people to look for a fault in the service. An item
//! of a check stream becomes [`unreadable`] instead of an error: it would end the stream for all the
//! items behind it.

use std::any::Any;
use std::marker::PhantomData;

use bytes::Buf;

use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

use crate::status::refused_status;
use crate::{Refused, v1};

/// Writes as the usual codec; refuses what cannot be read as INVALID_ARGUMENT.
#[derive(Debug, Clone)]
pub struct StrictCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for StrictCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for StrictCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = StrictDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        StrictDecoder(PhantomData)
    }
}

/// Reads a message, or refuses it.
#[derive(Debug, Clone)]
pub struct StrictDecoder<U>(PhantomData<U>);

/// Correlation of an item that could not be read; no sender can write it, since a zero is refused.
const UNREADABLE: &str = "\0unreadable";

/// The item that stands for one that could not be read.
#[must_use]
pub fn unreadable() -> v1::CheckStreamRequest {
    v1::CheckStreamRequest {
        event: None,
        correlation: UNREADABLE.to_owned(),
    }
}

/// Whether an item stands for one that could not be read.
#[must_use]
pub fn is_unreadable(item: &v1::CheckStreamRequest) -> bool {
    item.event.is_none() && item.correlation == UNREADABLE
}

impl<U: Message + Default + 'static> Decoder for StrictDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let error = match U::decode(&mut *bytes) {
            Ok(message) => return Ok(Some(message)),
            Err(error) => error,
        };
        // What is left of this message must not be taken for the next one.
        bytes.advance(bytes.remaining());
        let instead: Box<dyn Any> = Box::new(unreadable());
        match instead.downcast::<U>() {
            Ok(item) => Ok(Some(*item)),
            // What prost says names fields and types, never a value.
            Err(_) => Err(refused_status(&Refused::one(
                "message",
                format!("not readable as Protobuf: {error}"),
            ))),
        }
    }
}
