//! What a certificate that is shown says: until when, for whom, and whether anybody would trust it.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wechat::client::{Distrust, NoCertificate, ShownCertificate};

const PATIENCE: Duration = Duration::from_secs(5);
/// 2026-12-01T00:00:00Z, and the end of the certificates: 2027-01-01.
const NOW: i64 = 1_796_083_200;
const END: i64 = 1_798_761_600;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Serves TLS on the loopback with a certificate for these names; gives its address.
async fn serve(authority: &CertifiedIssuer<'static, KeyPair>, names: &[&str]) -> u16 {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2026, 10, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, authority).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { drop(acceptor.accept(stream).await) });
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_is_judged_as_a_browser_would() {
    let authority = authority();
    let trusted = vec![authority.der().to_vec()];
    let port = serve(&authority, &["localhost"]).await;
    let url = format!("https://localhost:{port}/some/path");
    let shown = ShownCertificate::of(&url, &trusted, PATIENCE).await.unwrap();
    assert_eq!(shown.not_after(), Some(END));
    assert!(shown.names_host());
    assert_eq!(shown.distrust(NOW), None);
    assert_eq!(shown.distrust(END + 1), Some(Distrust::Expired));
    assert_eq!(shown.distrust(1_000_000_000), Some(Distrust::NotYet));

    // The same where nobody knows the authority: what it says of itself can be read all the same.
    let shown = ShownCertificate::of(&url, &[], PATIENCE).await.unwrap();
    assert_eq!((shown.not_after(), shown.distrust(NOW)), (Some(END), Some(Distrust::UnknownIssuer)));
    assert!(shown.names_host());
    assert_eq!(shown.distrust(END + 1), Some(Distrust::Expired), "its own end comes first");
    // By its address it is another's.
    let url = format!("https://127.0.0.1:{port}");
    let shown = ShownCertificate::of(&url, &trusted, PATIENCE).await.unwrap();
    assert!(!shown.names_host());
    assert_eq!(shown.distrust(NOW), None);
}

#[tokio::test]
async fn where_there_is_none_it_is_said_why() {
    for wrong in ["http://localhost", "localhost", "https://", "ftp://localhost"] {
        let none = ShownCertificate::of(wrong, &[], PATIENCE).await.unwrap_err();
        assert_eq!(none, NoCertificate::NotHttps, "{wrong}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("https://localhost:{port}");
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        drop(listener);
    });
    let plain = ShownCertificate::of(&url, &[], PATIENCE).await.unwrap_err();
    assert!(matches!(plain, NoCertificate::NoHandshake(_)), "{plain:?}");
    let gone = ShownCertificate::of(&url, &[], PATIENCE).await.unwrap_err();
    assert!(matches!(gone, NoCertificate::NoConnection(_)), "{gone:?}");
}
