//! Signature algorithms, of which each issuer pins its own. There is no name
//! here for `none` and `HS*`, so they can neither be configured nor sent.

use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::Public;

/// An asymmetric algorithm (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5, SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA PKCS#1 v1.5, SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSA PKCS#1 v1.5, SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA PSS, SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA PSS, SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSA PSS, SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256, SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384, SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Its name in tokens and key sets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether keys of this kind sign with it.
    pub(super) fn fits(self, key: &Public) -> bool {
        match (self, key) {
            (
                Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512,
                Public::Rsa { .. },
            )
            | (Self::Es256, Public::P256(_))
            | (Self::Es384, Public::P384(_))
            | (Self::EdDsa, Public::Ed25519(_)) => true,
            (
                Self::Rs256
                | Self::Rs384
                | Self::Rs512
                | Self::Ps256
                | Self::Ps384
                | Self::Ps512
                | Self::Es256
                | Self::Es384
                | Self::EdDsa,
                Public::Rsa { .. } | Public::P256(_) | Public::P384(_) | Public::Ed25519(_),
            ) => false,
        }
    }

    /// Whether a signature is of this key. A key of another kind signs
    /// nothing.
    pub(super) fn verifies(self, key: &Public, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(key) {
            return false;
        }
        let rsa = |parameters: &lc::RsaParameters| match key {
            Public::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(parameters, message, signature)
                .is_ok(),
            Public::P256(_) | Public::P384(_) | Public::Ed25519(_) => false,
        };
        let other = |algorithm: &'static dyn lc::VerificationAlgorithm| match key {
            Public::P256(bytes) | Public::P384(bytes) | Public::Ed25519(bytes) => {
                let key = UnparsedPublicKey::new(algorithm, bytes);
                key.verify(message, signature).is_ok()
            }
            Public::Rsa { .. } => false,
        };
        match self {
            Self::Rs256 => rsa(&lc::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => rsa(&lc::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => rsa(&lc::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => rsa(&lc::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => rsa(&lc::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => rsa(&lc::RSA_PSS_2048_8192_SHA512),
            Self::Es256 => other(&lc::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => other(&lc::ECDSA_P384_SHA384_FIXED),
            Self::EdDsa => other(&lc::ED25519),
        }
    }
}
