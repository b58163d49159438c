//! Single sign-on (IAM Identity Center): the token that `aws sso login` left
//! on disk, exchanged for a role's credentials. Sources: AWS SDKs and Tools
//! reference guide, "IAM Identity Center credential provider"; Portal API
//! reference, `GetRoleCredentials`.
//!
//! Deliberately not here: renewing the sign-in, which would write into a file
//! that is another program's.

use std::fmt::Write as _;
use std::path::PathBuf;

use http::{HeaderName, Method};

use super::place::Place;
use super::read::{encoded, header, lent, object, refusal, time};
use crate::lending::{Heard, Lent, Source, Step};

const BEARER: HeaderName = HeaderName::from_static("x-amz-sso_bearer_token");

/// A role by single sign-on.
#[derive(Debug)]
pub(crate) struct SignIn {
    pub(crate) portal: Place,
    pub(crate) token_file: PathBuf,
    pub(crate) account_id: String,
    pub(crate) role_name: String,
    /// The profile, for the advice to sign in.
    pub(crate) profile: String,
}

impl SignIn {
    /// The name of the file with the token of a session, or of the start URL
    /// where the profile names no session.
    pub(crate) fn token_file_name(of: &str) -> String {
        format!("{}.json", sha1_hex(of.as_bytes()))
    }

    fn advice(&self) -> String {
        format!("sign in: `aws sso login --profile {}`", self.profile)
    }

    fn ask(&self, file: &str, unix_us: u64) -> Result<Step, String> {
        let (token, end) = object(file.as_bytes(), |object| {
            let text = |name: &str| object.get(name)?.str().map(String::from);
            Ok((text("accessToken"), text("expiresAt")))
        })?;
        let token = token.ok_or("it holds no `accessToken`")?;
        let end = end.and_then(|end| time(&end));
        if end.is_none_or(|end| end <= unix_us) {
            return Err(format!("the sign-in has ended; {}", self.advice()));
        }
        let path = format!(
            "/federation/credentials?account_id={}&role_name={}",
            encoded(&self.account_id),
            encoded(&self.role_name)
        );
        let mut outbound = self.portal.request(Method::GET, &path);
        outbound.headers.insert(BEARER, header(&token)?);
        Ok(Step::Send(Box::new(outbound)))
    }

    fn answer(&self, heard: &Heard) -> Result<Lent, String> {
        let (status, body) = heard.answer()?;
        match status {
            200 => {}
            401 => return Err(format!("{}; {}", refusal(status, body), self.advice())),
            _ => return Err(refusal(status, body)),
        }
        object(body, |object| {
            let role = object
                .get("roleCredentials")
                .ok_or("the answer has no `roleCredentials`")?;
            let end_ms = role
                .get("expiration")
                .and_then(|end| end.u64())
                .ok_or("the answer has no `expiration`")?;
            let text = |name: &str| role.get(name)?.str().map(String::from);
            lent(text, "sessionToken", Some(end_ms.saturating_mul(1_000)))
        })
    }
}

impl Source for SignIn {
    fn name(&self) -> String {
        let (role, account) = (&self.role_name, &self.account_id);
        format!("single sign-on (role {role}, account {account})")
    }

    fn note(&self, note: &mut dyn FnMut(&str)) {
        note("single sign-on");
        self.portal.note(note);
        note(&self.token_file.to_string_lossy());
        note(&self.account_id);
        note(&self.role_name);
        note(&self.profile);
    }

    fn next(&self, heard: &[Heard], unix_us: u64) -> Step {
        match heard {
            [] => Step::Read(self.token_file.clone()),
            [file] => {
                let asked = match file.text() {
                    Ok(text) => self.ask(text, unix_us),
                    Err(why) => Err(format!("{why}; {}", self.advice())),
                };
                asked.unwrap_or_else(|why| Step::Failed(format!("the token file: {why}")))
            }
            [_, answer, ..] => match self.answer(answer) {
                Ok(lent) => Step::Done(lent),
                Err(why) => Step::Failed(format!("GetRoleCredentials: {why}")),
            },
        }
    }
}

/// SHA-1 (FIPS 180-4) in hex. It guards nothing here: the vendor's tools name
/// files by it.
fn sha1_hex(bytes: &[u8]) -> String {
    let mut state: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        compress(&mut state, block);
    }
    let mut hex = String::with_capacity(40);
    for word in state {
        let _ = write!(hex, "{word:08x}");
    }
    hex
}

fn compress(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    for at in 16..80 {
        let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
        words[at] = mixed.rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (at, word) in words.iter().enumerate() {
        let (mixed, constant) = match at / 20 {
            0 => ((b & c) | (!b & d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let next = a
            .rotate_left(5)
            .wrapping_add(mixed)
            .wrapping_add(e)
            .wrapping_add(constant)
            .wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (sum, word) in state.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(word);
    }
}

#[cfg(test)]
mod tests {
    //! The examples of FIPS 180-4, and blocks at the edge of the padding.

    use super::sha1_hex;

    #[test]
    fn sha1_as_published() {
        assert_eq!(sha1_hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha1_hex(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(
            sha1_hex(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
    }
}
