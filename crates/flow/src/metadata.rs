//! What the caller tells about the call, taken in: into the record, the facts
//! of policy, and what the rest of the path goes by.
//!
//! Deliberately not here: where it is told and what is allowed (`access`).

use std::sync::Arc;

use access::Consumer;
use access::metadata::Field;
use access::told::{self, Member, Telling, Value};
use contract::{Fault, Loss};
use dialects::json::{Json, Kind};
use evidence::{Decision, Reading};
use plan::LossPolicy;

use crate::exchange::Exchange;

impl Exchange {
    /// Takes in what the caller tells. `gateway` is the object of the body,
    /// if there is one.
    pub(crate) fn take_metadata(&mut self, gateway: Option<Json<'_>>) -> Result<(), Fault> {
        let body = match gateway {
            Some(object) => members(object)?,
            None => Vec::new(),
        };
        let consumer = self.consumer()?;
        let told = told::read(&Telling {
            headers: &self.head.headers,
            body: &body,
            consumer,
            settings: &self.plan.metadata,
        })?;
        self.contract = told.version;
        self.record.contract = told.version.number;
        if let Some(consumer) = told.consumer {
            self.speak_for(consumer);
        }
        let metadata = told.metadata;
        if metadata.is_empty() {
            return Ok(());
        }
        for (field, value) in metadata.iter() {
            let note = (field.name().into(), value.into());
            self.record.metadata.push(note);
        }
        let who = &mut self.record.who;
        who.user = metadata.shared(Field::User);
        who.use_case = metadata.shared(Field::UseCase);
        self.output_cap = metadata.number(Field::MaxTokens);
        self.hold_to_time(metadata.number(Field::MaxLatencyMs));
        let told = metadata.iter();
        let unmet = told.filter_map(|(field, value)| unmet(field, value));
        self.unmet = unmet.collect();
        self.metadata = metadata;
        self.refuse_unmet()
    }

    /// The caller, who may, speaks for another one. The record keeps both.
    fn speak_for(&mut self, consumer: Arc<Consumer>) {
        let who = &mut self.record.who;
        let own = [
            ("tenant", who.tenant.replace(consumer.tenant.clone())),
            ("app", who.app.replace(consumer.app.clone())),
        ];
        let readings = own.into_iter().filter_map(|(name, value)| {
            Some(Reading {
                name: name.into(),
                value: evidence::Value::Name(value?),
            })
        });
        self.record.decisions.push(Decision {
            stage: "identity".into(),
            verdict: "assert".into(),
            reason: "trusted_caller".into(),
            readings: readings.collect(),
            ..Decision::default()
        });
        self.consumer = Some(consumer);
    }

    /// What was told and cannot be met is a loss, and is treated like one.
    pub(crate) fn refuse_unmet(&self) -> Result<(), Fault> {
        match (self.plan.settings.losses, self.unmet.first()) {
            (LossPolicy::Refuse, Some(loss)) => Err(Fault::unsupported(format!(
                "`{}` cannot be met: {}. Leave it out.",
                loss.what, loss.why
            ))
            .at(loss.what.clone())),
            (LossPolicy::Refuse, None) | (LossPolicy::Declare, _) => Ok(()),
        }
    }
}

/// Why nothing acts on a field yet. What a caller counts on in vain must not
/// pass in silence.
fn unmet(field: Field, value: &str) -> Option<Loss> {
    let why = match field {
        Field::Family | Field::Quality | Field::Region => {
            "it is recorded, but the model is chosen by its name"
        }
        Field::Redaction => "it is recorded, but nothing is redacted",
        Field::PiiMode if value == "allow" => return None,
        Field::PiiMode => "it is recorded, but personal data is not looked for",
        Field::User
        | Field::Channel
        | Field::UseCase
        | Field::DataClass
        | Field::Session
        // No content is kept but answers for repeats, which go by it.
        | Field::Retention
        | Field::MaxTokens
        | Field::MaxCost
        | Field::MaxLatencyMs
        | Field::Contract
        | Field::Tags => return None,
    };
    Some(Loss::new(format!("tollgate.{}", field.name()), why))
}

/// The members of the object, as far as they tell something.
fn members(object: Json<'_>) -> Result<Vec<Member<'_>>, Fault> {
    if object.is_null() {
        return Ok(Vec::new());
    }
    let members = object.as_object()?.members();
    Ok(members
        .filter(|member| !member.value.is_null())
        .map(|member| Member {
            name: member.name(),
            value: value(member.value),
        })
        .collect())
}

fn value(json: Json<'_>) -> Value<'_> {
    match json.kind() {
        Kind::String | Kind::EscapedString => Value::Text(json.str().unwrap_or_default()),
        Kind::Number => Value::Number(json.raw()),
        Kind::Object => {
            let members = json.members();
            let pairs: Option<Vec<_>> = members
                .map(|member| Some((member.name(), member.value.str()?)))
                .collect();
            pairs.map_or(Value::Other("an object"), Value::Pairs)
        }
        Kind::True | Kind::False => Value::Other("a boolean"),
        Kind::Array => Value::Other("an array"),
        Kind::Null => Value::Other("null"),
    }
}
