//! `Authorization: Bearer`, as most vendors take it.

use contract::Fault;
use contract::seams::Outbound;
use http::header::AUTHORIZATION;

use crate::account::Account;
use crate::kind::Provider;
use crate::lending::Readings;

/// A vendor that takes a bearer key, or none if the account has none (local
/// engines).
pub(crate) struct Bearer;

impl Provider for Bearer {
    fn authorize(
        &self,
        account: &Account,
        outbound: &mut Outbound,
        _: Readings<'_>,
    ) -> Result<(), Fault> {
        if account.key.is_some() {
            outbound
                .headers
                .insert(AUTHORIZATION, account.header("Bearer ")?);
        }
        Ok(())
    }
}
