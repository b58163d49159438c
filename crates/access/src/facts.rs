//! What policy may know of a call: facts that were read once, and handed to
//! every rule alike.
//!
//! Deliberately not here: prompts and answers. Of the content a rule sees
//! what is listed in [`Content`], and only where a rule asks for it.

use std::borrow::Cow;
use std::net::IpAddr;

use contract::Operation;

use crate::metadata::Metadata;

/// A call, as policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Tenant, from the credential.
    pub tenant: &'a str,
    /// App, from the credential.
    pub app: &'a str,
    /// Public id of the key or of the token's subject.
    pub key_id: &'a str,
    /// Groups of the consumer.
    pub groups: &'a [Box<str>],
    /// What the caller told about the call.
    pub metadata: &'a Metadata,
    /// Kind of call.
    pub operation: Operation,
    /// The model as the caller named it.
    pub model: &'a str,
    /// A stream is asked for.
    pub stream: bool,
    /// Upper bound of the input tokens, from the bytes of the body.
    pub input_tokens: u64,
    /// Cap on output tokens, if the caller set one.
    pub output_tokens_max: Option<u64>,
    /// The caller's address; `None` on a unix socket.
    pub address: Option<IpAddr>,
    /// Wall time, Unix seconds.
    pub now_s: u64,
    /// What the body holds; `Some` where a rule of the chain
    /// [needs](crate::Rule::needs_content) it.
    pub content: Option<&'a Content>,
}

/// What a body holds, as far as rules may look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Tools on offer. What lets the provider run the tools of a server is one
    /// of kind `hosted`, and so are the tools that it lists.
    pub tools: Vec<ToolFact>,
    /// Those of them that let the provider run tools of a server, and list
    /// none: the names of what runs are not known.
    pub servers: Vec<Box<str>>,
    /// The caller brought system or developer instructions.
    pub system: bool,
    /// Every URL that the body names: images, files, and links in texts.
    pub urls: Vec<Box<str>>,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolFact {
    /// Its name.
    pub name: Box<str>,
    /// `function`, `custom`, or `hosted` (run by the provider).
    pub kind: &'static str,
}

/// Where a call may go: one candidate.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Provider, by its name in the document.
    pub provider: &'a str,
    /// Kind of the provider, such as the vendor's.
    pub kind: &'a str,
    /// Model, as the provider knows it.
    pub model: &'a str,
    /// Region of the provider, if one is configured.
    pub region: Option<&'a str>,
    /// Largest sum of input and output tokens, if known.
    pub context_tokens: Option<u32>,
}

/// What the model gave back.
#[derive(Clone, Debug)]
pub enum Given<'a> {
    /// It calls a tool of this name.
    ToolCall(&'a str),
    /// The whole text of an answer (the text parts of one choice, joined).
    Text(Cow<'a, str>),
}
