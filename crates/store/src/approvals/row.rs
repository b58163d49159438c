//! One approval, and what its life allows. Pure, and the same for every
//! store.

use serde_json::{Value, json};

use super::ApprovalsError;

/// An approval as it is kept. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Public id.
    pub id: String,
    /// Its place in the order of creation; the store gives it.
    pub number: u64,
    /// Tenant of who asked.
    pub tenant: String,
    /// Their application.
    pub app: String,
    /// Public id of their key.
    pub key_id: String,
    /// The user they called for, if one was known.
    pub user: Option<String>,
    /// The user whom their credential names, if it names one.
    pub owner: Option<String>,
    /// What they asked for, such as `chat`.
    pub operation: String,
    /// The dialect in which they asked.
    pub dialect: String,
    /// The model, by the name that they used.
    pub model: String,
    /// Id of the call that asked first.
    pub request_id: String,
    /// What is to be approved.
    pub needs: Vec<NeedRow>,
    /// How many must approve.
    pub approvers: u8,
    /// BLAKE3 of the body.
    pub body: [u8; 32],
    /// When it was asked.
    pub asked_us: u64,
    /// From when on it cannot be given or used.
    pub expires_us: u64,
    /// What people said, in order.
    pub votes: Vec<Vote>,
    /// When a call used it.
    pub used_us: Option<u64>,
    /// Id of the call that used it.
    pub used_by: Option<String>,
}

/// Something to be approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedRow {
    /// The rule that wants it.
    pub rule: String,
    /// The layer of the rule.
    pub layer: String,
    /// The thing, such as `model m`.
    pub what: String,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Public name of the credential.
    pub by: String,
    /// When.
    pub at_us: u64,
    /// Approved, or denied.
    pub approves: bool,
    /// Why, in their words.
    pub note: Option<String>,
}

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
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

impl ApprovalState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Used,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Used => "used",
        }
    }

    /// What a word says.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl ApprovalRow {
    /// How many have approved.
    pub fn approved_by(&self) -> u8 {
        let approving = self.votes.iter().filter(|vote| vote.approves);
        u8::try_from(approving.count()).unwrap_or(u8::MAX)
    }

    /// Where it stands at this time. It expires at `expires_us`, not after.
    pub fn state(&self, now_us: u64) -> ApprovalState {
        match self.standing() {
            ApprovalState::Pending | ApprovalState::Approved if self.expires_us <= now_us => {
                ApprovalState::Expired
            }
            standing => standing,
        }
    }

    /// Pending, or approved and not used.
    pub(super) fn is_open(&self, now_us: u64) -> bool {
        match self.state(now_us) {
            ApprovalState::Pending | ApprovalState::Approved => true,
            ApprovalState::Denied | ApprovalState::Expired | ApprovalState::Used => false,
        }
    }

    /// Whether the other row asks the same for the same caller.
    pub(super) fn asks_the_same(&self, other: &Self) -> bool {
        self.tenant == other.tenant
            && self.key_id == other.key_id
            && self.user == other.user
            && self.owner == other.owner
            && self.operation == other.operation
            && self.dialect == other.dialect
            && self.model == other.model
            && self.body == other.body
            && self.needs == other.needs
            && self.approvers == other.approvers
    }

    /// A digest of all that [`ApprovalRow::asks_the_same`] looks at.
    pub(super) fn question(&self) -> String {
        let needs = self.needs.iter();
        let needs: Vec<Value> = needs
            .map(|it| json!([it.rule, it.layer, it.what]))
            .collect();
        let all = json!([
            self.tenant,
            self.key_id,
            self.user,
            self.owner,
            self.operation,
            self.dialect,
            self.model,
            self.body,
            needs,
            self.approvers
        ]);
        blake3::hash(all.to_string().as_bytes())
            .to_hex()
            .to_string()
    }

    /// Where it stands for as long as its time is not over.
    pub(super) fn standing(&self) -> ApprovalState {
        if self.votes.iter().any(|vote| !vote.approves) {
            ApprovalState::Denied
        } else if self.used_us.is_some() {
            ApprovalState::Used
        } else if self.approved_by() >= self.approvers {
            ApprovalState::Approved
        } else {
            ApprovalState::Pending
        }
    }

    /// Whether it was asked by whoever has this name: the key, the subject of
    /// a token or certificate, or a user. Upper and lower case are the same.
    fn is_of(&self, name: &str) -> bool {
        let subject = self.key_id.split_once(':').map(|(_, subject)| subject);
        let names = [
            Some(self.key_id.as_str()),
            subject,
            self.user.as_deref(),
            self.owner.as_deref(),
        ];
        let mut names = names.into_iter().flatten();
        names.any(|it| it.eq_ignore_ascii_case(name))
    }

    /// The row with one more vote.
    ///
    /// # Errors
    /// `Own`, `Twice` or `Over`, as [`Approvals::vote`](super::Approvals::vote).
    pub fn voted(&self, vote: &Vote) -> Result<Self, ApprovalsError> {
        match self.state(vote.at_us) {
            ApprovalState::Pending => {}
            // What was given is withdrawn, as long as no call has used it.
            ApprovalState::Approved if !vote.approves => {}
            over @ (ApprovalState::Approved
            | ApprovalState::Denied
            | ApprovalState::Expired
            | ApprovalState::Used) => return Err(ApprovalsError::Over(over)),
        }
        if self.is_of(&vote.by) {
            return Err(ApprovalsError::Own);
        }
        if vote.approves && self.votes.iter().any(|known| known.by == vote.by) {
            return Err(ApprovalsError::Twice);
        }
        let mut row = self.clone();
        row.votes.push(vote.clone());
        Ok(row)
    }

    /// The row as used by this call, if it may be.
    pub(super) fn spent(&self, by: &str, now_us: u64) -> Option<Self> {
        (self.state(now_us) == ApprovalState::Approved).then(|| Self {
            used_us: Some(now_us),
            used_by: Some(by.to_owned()),
            ..self.clone()
        })
    }

    pub(super) fn write(&self) -> String {
        let needs = self.needs.iter();
        let needs: Vec<Value> = needs
            .map(|it| json!([it.rule, it.layer, it.what]))
            .collect();
        let votes = self.votes.iter();
        let votes: Vec<Value> = votes
            .map(|it| json!([it.by, it.at_us, it.approves, it.note]))
            .collect();
        json!({
            "tenant": self.tenant,
            "app": self.app,
            "key_id": self.key_id,
            "user": self.user,
            "owner": self.owner,
            "operation": self.operation,
            "dialect": self.dialect,
            "model": self.model,
            "request_id": self.request_id,
            "needs": needs,
            "approvers": self.approvers,
            "body": blake3::Hash::from_bytes(self.body).to_hex().as_str(),
            "asked_us": self.asked_us,
            "expires_us": self.expires_us,
            "votes": votes,
            "used_us": self.used_us,
            "used_by": self.used_by,
        })
        .to_string()
    }

    pub(super) fn read(id: String, number: u64, text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let word = |name: &str| value[name].as_str().map(str::to_owned);
        let needs = value["needs"].as_array()?.iter().map(|it| {
            let word = |nth: usize| it[nth].as_str().map(str::to_owned);
            Some(NeedRow {
                rule: word(0)?,
                layer: word(1)?,
                what: word(2)?,
            })
        });
        let votes = value["votes"].as_array()?.iter().map(|it| {
            Some(Vote {
                by: it[0].as_str()?.to_owned(),
                at_us: it[1].as_u64()?,
                approves: it[2].as_bool()?,
                note: it[3].as_str().map(str::to_owned),
            })
        });
        Some(Self {
            id,
            number,
            tenant: word("tenant")?,
            app: word("app")?,
            key_id: word("key_id")?,
            user: word("user"),
            owner: word("owner"),
            operation: word("operation")?,
            dialect: word("dialect")?,
            model: word("model")?,
            request_id: word("request_id")?,
            needs: needs.collect::<Option<_>>()?,
            approvers: u8::try_from(value["approvers"].as_u64()?).ok()?,
            body: *blake3::Hash::from_hex(word("body")?).ok()?.as_bytes(),
            asked_us: value["asked_us"].as_u64()?,
            expires_us: value["expires_us"].as_u64()?,
            votes: votes.collect::<Option<_>>()?,
            used_us: value["used_us"].as_u64(),
            used_by: word("used_by"),
        })
    }
}
