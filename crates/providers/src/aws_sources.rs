//! The sources of AWS's temporary credentials, one file each: what is asked
//! there, and how the answer is read.
//!
//! Deliberately not here: which source is taken (`aws_chain`), profiles
//! (`aws_profile`), and when it is asked again (`refresh`).

mod container;
mod instance;
mod place;
mod process;
mod read;
mod sign_in;
mod sts;

pub(crate) use container::{Container, Token};
pub(crate) use instance::Instance;
pub(crate) use place::{Place, Way};
pub(crate) use process::Helper;
pub(crate) use sign_in::SignIn;
pub(crate) use sts::{AssumedRole, Base, RoleSession, Sts, WebIdentity, is_session_name};

#[cfg(test)]
mod tests;
