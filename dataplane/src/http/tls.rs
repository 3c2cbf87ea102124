//! The gateway's own certificate, from files that are read again when they change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not the PEM that it should be.
    #[error("{path} holds no usable {what} in PEM")]
    NotPem {
        /// Which.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// The two do not fit.
    #[error("the certificate and the key do not fit: {0}")]
    Unfit(#[from] rustls::Error),
}

/// A certificate and its key on disk.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// Chain in PEM, leaf first.
    pub certificate: PathBuf,
    /// Key in PEM.
    pub key: PathBuf,
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    files: CertificateFiles,
    current: ArcSwap<CertifiedKey>,
    /// What the last look found, good or bad.
    seen: std::sync::Mutex<Seen>,
}

/// The bytes of both files, or why they cannot be read.
type Seen = Result<(Vec<u8>, Vec<u8>), String>;

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// When they are unreadable or do not fit.
    pub fn load(files: CertificateFiles) -> Result<Arc<Self>, CertificateError> {
        let bytes = both(&files)?;
        let current = certified(&files, &bytes)?;
        Ok(Arc::new(Self { files, current: ArcSwap::from_pointee(current), seen: std::sync::Mutex::new(Ok(bytes)) }))
    }

    /// Reads the files again; tells whether they had changed. New connections get the new certificate.
    ///
    /// # Errors
    /// As [`Certificate::load`], once for each change; the old certificate stays in use.
    pub fn reload(&self) -> Result<bool, CertificateError> {
        let found = both(&self.files);
        let now = found.as_ref().map_err(ToString::to_string).cloned();
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        self.current.store(Arc::new(certified(&self.files, &found?)?));
        Ok(true)
    }

    /// The server's side of TLS, offering HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// When rustls refuses the configuration.
    pub fn server(self: &Arc<Self>) -> Result<Arc<ServerConfig>, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn both(files: &CertificateFiles) -> Result<(Vec<u8>, Vec<u8>), CertificateError> {
    Ok((read(&files.certificate)?, read(&files.key)?))
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

fn certified(files: &CertificateFiles, (certificate, key): &(Vec<u8>, Vec<u8>)) -> Result<CertifiedKey, CertificateError> {
    let not_pem = |path: &Path, what| CertificateError::NotPem { path: path.to_owned(), what };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().map_err(|_| not_pem(&files.certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(not_pem(&files.certificate, "certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| not_pem(&files.key, "private key"))?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&key)?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match()?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once_whether_it_can_be_served_or_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = CertificateFiles { certificate: folder.path().join("crt"), key: folder.path().join("key") };
        let write = || {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
            std::fs::write(&files.certificate, made.cert.pem()).expect("a file");
            std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("a file");
        };
        write();
        let certificate = Certificate::load(files.clone()).expect("a pair");
        assert!(matches!(certificate.reload(), Ok(false)));
        std::fs::write(&files.key, "no key").expect("a file");
        assert!(matches!(certificate.reload(), Err(CertificateError::NotPem { .. })));
        assert!(matches!(certificate.reload(), Ok(false)), "the same trouble is not told again");
        std::fs::remove_file(&files.key).expect("a file");
        assert!(matches!(certificate.reload(), Err(CertificateError::Read { .. })));
        assert!(matches!(certificate.reload(), Ok(false)), "nor is this one");
        write();
        assert!(matches!(certificate.reload(), Ok(true)));
        assert!(matches!(certificate.reload(), Ok(false)));
    }
}
