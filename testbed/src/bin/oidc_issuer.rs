//! `oidc-issuer`: a small OpenID Connect issuer as a process, to try tokens
//! with. `GET /token?aud=tollgate&sub=ada` gives a token with these claims,
//! `GET /rotate` makes a new key.

use std::io::Write;

use clap::Parser;
use testbed::issuer::Issuer;

/// Issues tokens with any claims to anybody. For tests only.
#[derive(Parser)]
struct Flags {
    /// Address to listen on; port 0 picks a free one. The URL is the first line of the output.
    #[arg(long, default_value = "127.0.0.1:4198")]
    listen: String,
}

fn main() -> std::io::Result<()> {
    let issuer = Issuer::start(&Flags::parse().listen)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", issuer.url())?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}
