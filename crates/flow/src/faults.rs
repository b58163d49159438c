//! The faults that the path itself raises: of the wire, of deadlines, of the
//! gateway's own limits.

use contract::seams::{WireFault, WireFaultKind};
use contract::{Fault, FaultKind, Operation, Origin};

/// The fault that a caller sees for a fault of the wire.
pub(crate) fn wire_fault(fault: WireFault) -> Fault {
    let private = fault.to_string();
    let broken = Fault::upstream_broken;
    let fault = match fault.kind {
        WireFaultKind::Dns | WireFaultKind::Connect | WireFaultKind::Tls | WireFaultKind::Proxy => {
            broken("The provider cannot be reached. Try again; if it persists, look at its status.")
        }
        WireFaultKind::ConnectTimeout | WireFaultKind::HeadTimeout => Fault::new(
            FaultKind::Timeout,
            Origin::Provider,
            "The provider did not answer in time. Try again, or raise the timeout in the gateway.",
        ),
        WireFaultKind::ResetBeforeHead | WireFaultKind::ResetInBody => {
            broken("The provider broke the connection before its answer was complete. Try again.")
        }
        WireFaultKind::Protocol => {
            broken("The provider's answer breaks the rules of HTTP. Try again.")
        }
        WireFaultKind::Exhausted => Fault::new(
            FaultKind::Overloaded,
            Origin::Gateway,
            "Too many calls to this provider are under way. Try again shortly.",
        ),
    };
    fault.because(private)
}

pub(crate) fn too_slow() -> Fault {
    Fault::new(
        FaultKind::Timeout,
        Origin::Provider,
        "The provider did not finish its answer in time. Try again, or raise the timeout in the \
         gateway.",
    )
}

pub(crate) fn no_content(bytes_max: usize) -> Fault {
    Fault::upstream_broken(
        "The provider sent a stream without any content. Try again; if it persists, look at the \
         provider's status.",
    )
    .because(format!(
        "more than {bytes_max} bytes before the first content"
    ))
}

pub(crate) fn too_long_to_check(bytes_max: usize) -> Fault {
    Fault::new(
        FaultKind::Forbidden,
        Origin::Gateway,
        "The answer is longer than what a rule of the gateway can check, so it was not passed on. \
         Ask for a shorter one.",
    )
    .because(format!("more than {bytes_max} bytes"))
}

pub(crate) fn no_slot() -> Fault {
    Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "The gateway cannot record more calls at the moment, so it takes none. Try again shortly.",
    )
    .because("the queue of the evidence log is full: its disk is slow, full or failing")
}

pub(crate) fn behind() -> Fault {
    Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "The gateway cannot bring its records to where they are kept at the moment, so it takes no \
         calls. Try again shortly.",
    )
    .because("records wait for longer than `database.max_lag`: see `tollgate_database_lag_seconds`")
}

/// The fault of a provider that has no way to do what is asked.
pub(crate) fn cannot(operation: Operation) -> Fault {
    let what = match operation {
        Operation::Chat => "chat",
        Operation::CountTokens => "count tokens",
        Operation::Embed => "make embeddings",
        Operation::ListModels | Operation::GetModel => "describe models",
    };
    Fault::new(
        FaultKind::Unsupported,
        Origin::Client,
        format!("The provider of this model cannot {what}. Choose a model that can."),
    )
}

pub(crate) fn internal(private: &'static str) -> Fault {
    Fault::new(
        FaultKind::Internal,
        Origin::Gateway,
        "The gateway made a mistake. Tell the people who run it the request id of this answer.",
    )
    .because(private)
}
