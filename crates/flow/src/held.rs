//! What policy holds a call to, for as long as its answer lasts.
//!
//! Deliberately not here: the exchange; this is what is shared with whoever
//! looks at the answer.

use std::net::IpAddr;
use std::sync::Arc;

use access::approval::Approved;
use access::policy::{Chain, Ruling, Verdict};
use access::{Consumer, Content, Facts, Given, KeyLife, Metadata};
use contract::{Fault, Operation, Origin};
use http::HeaderValue;

/// What policy holds a call to: owned, because it lasts as long as the answer.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) chain: Chain,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) metadata: Metadata,
    pub(crate) operation: Operation,
    pub(crate) model: Box<str>,
    pub(crate) stream: bool,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens_max: Option<u64>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) now_s: u64,
    pub(crate) content: Option<Content>,
}

impl Held {
    /// The facts, for the rules.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            tenant: &self.consumer.tenant,
            app: &self.consumer.app,
            key_id: &self.consumer.key_id,
            groups: &self.consumer.groups,
            metadata: &self.metadata,
            operation: self.operation,
            model: &self.model,
            stream: self.stream,
            input_tokens: self.input_tokens,
            output_tokens_max: self.output_tokens_max,
            address: self.address,
            now_s: self.now_s,
            content: self.content.as_ref(),
        }
    }

    /// The same, with more that was approved.
    pub(crate) fn approving(&self, approved: Vec<Approved>) -> Self {
        Self {
            chain: self.chain.approving(approved),
            ..self.clone()
        }
    }

    /// What the rules say of something that came back.
    pub(crate) fn given(&self, given: &Given<'_>) -> Verdict {
        self.chain.given(&self.facts(), given)
    }
}

/// What approvals of a call go by.
pub(crate) struct Approving {
    /// BLAKE3 of the body.
    pub(crate) body: [u8; 32],
    /// The approval that the call was asked for, or that let it on.
    pub(crate) header: Option<HeaderValue>,
    /// Rules that want an approval of what the model gave back.
    pub(crate) waiting: Vec<Ruling>,
    /// What the key goes through, if it was made at run time.
    pub(crate) life: Option<Arc<KeyLife>>,
}

impl Approving {
    /// Of a call with this body, by this key.
    pub(crate) fn of(body: &[u8], life: Option<Arc<KeyLife>>) -> Box<Self> {
        Box::new(Self {
            body: *blake3::hash(body).as_bytes(),
            header: None,
            waiting: Vec::new(),
            life,
        })
    }
}

/// The refusal of something that the model gave back: nobody sent it on.
pub(crate) fn refused(ruling: &Ruling) -> Fault {
    Fault {
        origin: Origin::Gateway,
        field: None,
        ..ruling.fault()
    }
}
