//! What pages load: style sheets and scripts, embedded in the binary. Which versions, and by what licence, stands in
//! assets/README.md.

use std::io::Read;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use sha2::{Digest, Sha256};

struct Asset {
    name: &'static str,
    kind: &'static str,
    packed: Vec<u8>,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    vec![
        Asset {
            name: "tabler.css",
            kind: CSS,
            packed: include_bytes!("../assets/tabler.min.css.gz").to_vec(),
        },
        Asset { name: "console.css", kind: CSS, packed: pack(include_bytes!("../assets/console.css")) },
        Asset { name: "htmx.js", kind: JS, packed: pack(include_bytes!("../assets/htmx.min.js")) },
        Asset { name: "console.js", kind: JS, packed: pack(include_bytes!("../assets/console.js")) },
        Asset { name: "icon.svg", kind: "image/svg+xml", packed: pack(include_bytes!("../assets/icon.svg")) },
    ]
});

/// Changes with every asset: what a browser keeps is never of another version.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in ASSETS.iter() {
        hash.update(&asset.packed);
    }
    hex::encode(&hash.finalize()[..6])
});

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    // Reading from memory does not fail.
    let _ = GzEncoder::new(bytes, Compression::best()).read_to_end(&mut packed);
    packed
}

pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let common =
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    let accepts =
        headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("gzip") {
        let packed = [(header::CONTENT_ENCODING, "gzip"), (header::VARY, "accept-encoding")];
        return (common, packed, asset.packed.as_slice()).into_response();
    }
    let mut plain = Vec::new();
    match GzDecoder::new(asset.packed.as_slice()).read_to_end(&mut plain) {
        Ok(_) => (common, plain).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_visit_stays_below_its_limit() {
        let all: usize = ASSETS.iter().map(|asset| asset.packed.len()).sum();
        assert!(all < 200_000, "{all} bytes");
    }
}
