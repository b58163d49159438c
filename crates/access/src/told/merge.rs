//! One value of several that were told.

use std::sync::Arc;

use contract::Fault;

use super::names::{Asserted, Slot};
use super::{Place, forbidden, not_allowed};
use crate::consumer::Consumer;
use crate::metadata::{Field, Merge, Metadata};

/// A value in normal form, and who told it.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    pub(super) place: Place<'a>,
    pub(super) value: String,
}

/// The values that count so far.
#[derive(Debug, Default)]
pub(super) struct Merged<'a> {
    kept: Vec<(Slot, Kept<'a>)>,
}

impl<'a> Merged<'a> {
    /// Takes a value in. The stronger places come first.
    ///
    /// # Errors
    /// `BadRequest` that names both places, where they disagree.
    pub(super) fn take(&mut self, slot: Slot, new: Kept<'a>) -> Result<(), Fault> {
        let Some((_, old)) = self.kept.iter_mut().find(|(known, _)| *known == slot) else {
            self.kept.push((slot, new));
            return Ok(());
        };
        if old.value == new.value {
            return Ok(());
        }
        let merge = match slot {
            Slot::Field(field) => (field.merge(), field),
            Slot::Asserted(_) => return disagree(old, &new),
        };
        match merge {
            (Merge::Smallest | Merge::Strictest, field) => {
                // The stricter one of one header or of one member twice is
                // still two readings of one place.
                if old.place == new.place {
                    return disagree(old, &new);
                }
                if field.strictness(&new.value, &old.value).is_lt() {
                    *old = new;
                }
                Ok(())
            }
            (Merge::Equal, _) if new.place.is_weak() && !old.place.is_weak() => Ok(()),
            (Merge::Equal, _) => disagree(old, &new),
        }
    }

    /// The value that counts.
    pub(super) fn get(&self, slot: Slot) -> Option<&str> {
        self.kept(slot).map(|kept| kept.value.as_str())
    }

    fn kept(&self, slot: Slot) -> Option<&Kept<'a>> {
        let found = self.kept.iter().find(|(known, _)| *known == slot);
        found.map(|(_, kept)| kept)
    }

    /// The metadata, with the user of the credential.
    ///
    /// # Errors
    /// `Forbidden` if another user is told than the credential stands for.
    pub(super) fn metadata(&self, consumer: &Consumer) -> Result<Metadata, Fault> {
        let mut metadata = Metadata::default();
        if let Some(user) = &consumer.user {
            let told = self.kept(Slot::Field(Field::User));
            if let Some(told) = told.filter(|told| told.value != **user && !consumer.asserts.user) {
                return Err(forbidden(
                    told.place,
                    "names another user than your credential. The credential names its user, and \
                     may not speak for others. Leave it out, or ask the people who run the \
                     gateway for a credential that may assert the user.",
                ));
            }
            metadata.set(Field::User, user.clone());
        }
        for (slot, kept) in &self.kept {
            match slot {
                Slot::Field(field) => metadata.set(*field, kept.value.as_str()),
                Slot::Asserted(_) => {}
            }
        }
        Ok(metadata)
    }

    /// The consumer that is spoken for, if it is another one.
    ///
    /// # Errors
    /// `Forbidden` if the credential may not speak for it.
    pub(super) fn speaks_for(&self, consumer: &Consumer) -> Result<Option<Arc<Consumer>>, Fault> {
        let mut tenant = consumer.tenant.clone();
        let mut app = consumer.app.clone();
        let parts = [
            (Asserted::Tenant, &mut tenant, consumer.asserts.tenant),
            (Asserted::App, &mut app, consumer.asserts.app),
        ];
        let mut is_other = false;
        for (asserted, own, may) in parts {
            let Some(told) = self.kept(Slot::Asserted(asserted)) else {
                continue;
            };
            if told.value == **own {
                continue;
            }
            // Baggage is passed on by anybody, so it asserts nothing.
            if !may || told.place.is_weak() {
                return Err(not_allowed(told.place, asserted));
            }
            *own = told.value.as_str().into();
            is_other = true;
        }
        Ok(is_other.then(|| {
            Arc::new(Consumer {
                tenant,
                app,
                ..consumer.clone()
            })
        }))
    }
}

fn disagree(old: &Kept<'_>, new: &Kept<'_>) -> Result<(), Fault> {
    if old.place == new.place {
        return Err(new.place.fault("is sent twice with two values. Send one."));
    }
    let other = old.place.said();
    Err(new.place.fault(&format!(
        "says something else than {other}. Say it in one place, or the same in both."
    )))
}
