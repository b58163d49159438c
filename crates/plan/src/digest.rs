//! The digest of a document: it changes with everything that counts, secrets
//! included, and gives none of them away.

use meter::PriceBook;
use meter::prices::Layer;

use crate::document::Document;
use crate::tokenizers::Tokenizers;

/// Hex digits of a digest.
const DIGITS: usize = 16;

/// The first 16 hex digits of the BLAKE3 of the document as canonical JSON
/// (every field, defaults included, in the order of the schema), followed by
/// the digest of the file of prices, if there is one, those of vocabularies,
/// and the path of each secret and its BLAKE3 keyed with `key`.
pub(crate) fn digest(
    document: &Document,
    (prices, tokenizers): (&PriceBook, &Tokenizers),
    key: &[u8; 32],
) -> String {
    let mut hasher = blake3::Hasher::new();
    let text = serde_json::to_vec(document).expect("a document is plain data");
    hasher.update(&text);
    for (layer, catalog) in prices.catalogs() {
        if layer == Layer::File {
            hasher.update(&[1]);
            hasher.update(catalog.digest());
        }
    }
    for vocabulary in tokenizers.all() {
        hasher.update(&[2]);
        hasher.update(vocabulary.digest().as_bytes());
    }
    document.secrets(&mut |path, secret| {
        hasher.update(&[0]);
        hasher.update(path.as_bytes());
        hasher.update(&[0]);
        let secret = blake3::keyed_hash(key, secret.secret().expose().as_bytes());
        hasher.update(secret.as_bytes());
    });
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(DIGITS);
    hex
}
