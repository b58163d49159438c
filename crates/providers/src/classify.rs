//! What a provider's refusal means, where the vendor has no rule of its own.

use contract::fault::UpstreamError;
use contract::{Fault, FaultKind, Origin, Retry};
use http::HeaderMap;

/// Longest wait that a provider's `retry-after` may ask for, milliseconds.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;
/// The wait told to callers where a busy provider gave none, milliseconds.
const RETRY_AFTER_MS_DEFAULT: u64 = 1_000;

/// A provider's answer with a status of 300 or above.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What the dialect could read of it.
    pub error: UpstreamError,
    /// The wait it asks for, from [`retry_after_ms`].
    pub retry_after_ms: Option<u64>,
}

/// Classifies by status alone (RFC 9110, and the vendors' error pages where
/// they agree).
pub fn classify(refusal: Refusal) -> Fault {
    let after = Retry::After {
        ms: refusal.retry_after_ms.unwrap_or(RETRY_AFTER_MS_DEFAULT),
    };
    let status = refusal.error.status;
    let private = format!(
        "status {status}, code {:?}: {}",
        refusal.error.code, refusal.error.message
    );
    let fault = match status {
        401..=403 | 407 => dead_key(),
        408 | 504 | 524 => Fault::new(
            FaultKind::Timeout,
            Origin::Provider,
            "The provider timed out. Try again.",
        ),
        429 => busy().retry(after),
        503 | 529 => {
            broken("The provider is overloaded. Wait a moment and try again.").retry(after)
        }
        400..=499 => return refused(refusal).because(private),
        500..=599 => broken(
            "The provider failed to answer. Try again; if it persists, look at its status page.",
        ),
        _ => broken("The provider answered with a status that the gateway does not follow."),
    };
    fault.because(private)
}

/// The provider refused the caller's content: its words reach the caller.
pub(crate) fn refused(refusal: Refusal) -> Fault {
    let message = if refusal.error.message.is_empty() {
        "The provider refused the request without saying why.".to_owned()
    } else {
        refusal.error.message.clone()
    };
    let mut fault = Fault::new(FaultKind::UpstreamRefused, Origin::Client, message);
    fault.field = refusal.error.param.clone();
    fault.upstream = Some(Box::new(refusal.error));
    fault
}

/// The provider limits us.
pub(crate) fn busy() -> Fault {
    Fault::new(
        FaultKind::UpstreamBusy,
        Origin::Provider,
        "The provider's rate limit is reached. Wait as long as retry-after says and try again.",
    )
}

/// The provider does not accept the gateway's own credential. The caller's
/// was fine, so it never sees a 401 for it.
pub(crate) fn dead_key() -> Fault {
    broken(
        "The provider does not accept the gateway's credential. Your own key is fine; tell the \
         people who run the gateway.",
    )
}

fn broken(public: &'static str) -> Fault {
    Fault::upstream_broken(public)
}

/// The wait that an answer asks for: `retry-after-ms`, or `retry-after` in
/// seconds (RFC 9110, section 10.2.3; the date form is not used by model
/// vendors and counts as absent).
pub fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let ms = number("retry-after-ms").or_else(|| Some(number("retry-after")? * 1_000.0))?;
    (ms.is_finite() && ms >= 0.0).then(|| (ms.ceil() as u64).min(RETRY_AFTER_MS_MAX))
}
