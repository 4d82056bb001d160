//! The certificate that a server shows: used by set-up checks, since WeChat pushes only to an address whose certificate a
//! browser would trust. The handshake takes whatever is shown; what is to be thought of it is said afterwards, for any moment.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Later than any certificate ends, in Unix seconds: asked for this moment, the verifier says when it ends.
const FAR: u64 = 300_000_000_000;

/// What a server showed.
#[derive(Clone)]
pub struct ShownCertificate {
    /// The server's own first.
    chain: Vec<CertificateDer<'static>>,
    host: ServerName<'static>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

/// Why nobody trusts a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// Its time is over, or that of one above it.
    Expired,
    /// Its time has not begun.
    NotYet,
    /// Nothing leads from it to an authority that browsers know: it is self-made, or the server does not send the certificates in between.
    UnknownIssuer,
    /// Another reason, in words.
    Other(String),
}

/// Why a server showed none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCertificate {
    /// The address is not `https://` with a host.
    #[error("the address is not https")]
    NotHttps,
    /// No connection came about.
    #[error("{0}")]
    NoConnection(String),
    /// The other side does not speak TLS as it should.
    #[error("{0}")]
    NoHandshake(String),
}

impl std::fmt::Debug for ShownCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownCertificate")
            .field("host", &self.host)
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}

impl ShownCertificate {
    /// Connects to an `https://` address and takes what the server shows. `also_trusted` are authorities (DER) beside the
    /// public ones.
    ///
    /// # Errors
    /// [`NoCertificate`].
    pub async fn of(url: &str, also_trusted: &[Vec<u8>], patience: Duration) -> Result<Self, NoCertificate> {
        let uri: Uri = url.trim().parse().map_err(|_| NoCertificate::NotHttps)?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("https")).ok_or(NoCertificate::NotHttps)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| NoCertificate::NotHttps)?;
        let port = uri.port_u16().unwrap_or(443);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(TakesAll(Arc::clone(&provider)));
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| NoCertificate::NoHandshake(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let shaking_hands = async {
            let tcp = TcpStream::connect((host.as_str(), port))
                .await
                .map_err(|error| NoCertificate::NoConnection(error.to_string()))?;
            TlsConnector::from(Arc::new(config))
                .connect(name.clone(), tcp)
                .await
                .map_err(|error| NoCertificate::NoHandshake(error.to_string()))
        };
        let stream = tokio::time::timeout(patience, shaking_hands)
            .await
            .map_err(|_| NoCertificate::NoConnection("no answer in time".to_owned()))??;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain: Vec<CertificateDer<'static>> = shown.iter().map(|one| one.clone().into_owned()).collect();
        if chain.is_empty() {
            return Err(NoCertificate::NoHandshake("no certificate was shown".to_owned()));
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(also_trusted.iter().map(|one| CertificateDer::from(one.clone())));
        Ok(Self { chain, host: name, roots: Arc::new(roots), provider })
    }

    /// When it ends, in Unix seconds; none where it cannot be read.
    pub fn not_after(&self) -> Option<i64> {
        match self.verify(FAR) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                i64::try_from(not_after.as_secs()).ok()
            }
            _ => None,
        }
    }

    /// Whether it is for the host that was asked.
    pub fn names_host(&self) -> bool {
        let leaf = self.chain.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
        leaf.is_some_and(|leaf| verify_server_name(&leaf, &self.host).is_ok())
    }

    /// Why nobody would trust it at a moment (Unix seconds), whatever the host; none where a browser would.
    pub fn distrust(&self, at: i64) -> Option<Distrust> {
        match self.verify(u64::try_from(at).unwrap_or(0)) {
            Ok(()) => None,
            Err(Error::InvalidCertificate(why)) => Some(match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Distrust::NotYet
                }
                CertificateError::UnknownIssuer => Distrust::UnknownIssuer,
                other => Distrust::Other(other.to_string()),
            }),
            Err(other) => Some(Distrust::Other(other.to_string())),
        }
    }

    fn verify(&self, at: u64) -> Result<(), Error> {
        let (leaf, above) = self.chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(leaf)?,
            &self.roots,
            above,
            UnixTime::since_unix_epoch(Duration::from_secs(at)),
            self.provider.signature_verification_algorithms.all,
        )
    }
}

/// Looks at nothing but the handshake's own signature: what is shown is judged later, and nothing is sent.
#[derive(Debug)]
struct TakesAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
