//! Approvals, pure: what of a call needs one, and whether one that was given
//! covers a call.
//!
//! Deliberately not here: where approvals are kept, and who may give them.

use std::sync::Arc;

/// What a rule wants approved before a call goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The things, such as `tool send_mail`, in the order they were found.
    pub what: Vec<String>,
    /// How many people must approve.
    pub approvers: u8,
    /// How long the call waits for them, milliseconds.
    pub wait_ms: u64,
    /// How long they have, and how long what they gave may be used, seconds.
    pub expires_s: u64,
}

/// Something that was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// The rule that wanted it.
    pub rule: Arc<str>,
    /// The layer of the rule.
    pub layer: Arc<str>,
    /// The thing, as in [`Need::what`].
    pub what: String,
    /// How many people approved it, or must.
    pub approvers: u8,
}

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not enough people have approved.
    Pending,
    /// It may be used.
    Approved,
    /// Somebody denied it.
    Denied,
    /// Its time is over.
    Expired,
    /// A call has used it.
    Used,
}

/// A call, as far as an approval is bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Tenant, from the credential.
    pub tenant: String,
    /// Public id of the key.
    pub key_id: String,
    /// The user, if one is known.
    pub user: Option<String>,
    /// What is asked for, such as `chat`; it may stand in the path.
    pub operation: String,
    /// The dialect in which it is asked.
    pub dialect: String,
    /// The model, by the name that the caller uses; it may stand in the path.
    /// As [`kept_model`] gives it.
    pub model: String,
    /// BLAKE3 of the body.
    pub body: [u8; 32],
}

impl Claim {
    /// Whether both are of one caller.
    pub fn is_of_the_same_caller(&self, other: &Self) -> bool {
        self.tenant == other.tenant && self.key_id == other.key_id && self.user == other.user
    }

    /// Whether both ask for the same.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        self.operation == other.operation
            && self.dialect == other.dialect
            && self.model == other.model
            && self.body == other.body
    }
}

/// Longest name of a model that is kept as it is, bytes.
const MODEL_BYTES_MAX: usize = 256;
/// How much is kept of a longer one, bytes. With its digest that is more than
/// [`MODEL_BYTES_MAX`], so that no name is kept as another one is.
const MODEL_BYTES_KEPT: usize = 196;

/// The name of a model, as [`Claim::model`] has it: of a long one the
/// beginning and the digest, so that no caller fills the store with names.
pub fn kept_model(name: &str) -> String {
    if name.len() <= MODEL_BYTES_MAX {
        return name.to_owned();
    }
    let kept = &name[..name.floor_char_boundary(MODEL_BYTES_KEPT)];
    format!("{kept}~{}", blake3::hash(name.as_bytes()).to_hex())
}

/// What was read of an approval that a call shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Where it stands.
    pub standing: Standing,
    /// The caller of the call is who asked for it.
    pub is_own: bool,
    /// The call asks for what it was asked for.
    pub is_same: bool,
    /// The things that were asked for, and how many people approved them.
    pub what: Vec<Approved>,
}

/// Why an approval does not let a call on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncovered {
    /// None of this id was asked for by this caller.
    Unknown,
    /// The call asks for something else.
    OtherCall,
    /// Not enough people have approved.
    Pending,
    /// Somebody denied it.
    Denied,
    /// Its time is over.
    Expired,
    /// A call has used it.
    Used,
}

impl Uncovered {
    /// Stable code for the record.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "approval_unknown",
            Self::OtherCall => "approval_of_another_call",
            Self::Pending => "approval_pending",
            Self::Denied => "approval_denied",
            Self::Expired => "approval_expired",
            Self::Used => "approval_used",
        }
    }
}

/// What an approval lets a call do that it was asked for. What the call needs
/// beyond that is not approved.
///
/// # Errors
/// Why it lets it do nothing. Whose it is comes first, so that nobody learns anything
/// of an approval of somebody else, not even that there is one.
pub fn covers(reading: Option<&Reading>) -> Result<&[Approved], Uncovered> {
    let own = reading.filter(|reading| reading.is_own);
    let reading = own.ok_or(Uncovered::Unknown)?;
    if !reading.is_same {
        return Err(Uncovered::OtherCall);
    }
    match reading.standing {
        Standing::Pending => Err(Uncovered::Pending),
        Standing::Denied => Err(Uncovered::Denied),
        Standing::Expired => Err(Uncovered::Expired),
        Standing::Used => Err(Uncovered::Used),
        Standing::Approved => Ok(&reading.what),
    }
}

#[cfg(test)]
mod tests;
