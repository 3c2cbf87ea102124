//! Whom a connection to a provider trusts: the platform's roots, read once and only when TLS is first needed, plus
//! what the operator of the process and the provider's author add.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::live::Origin;

/// Why there is no trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The certificates of a provider or of `--extra-ca` are not PEM.
    #[error("the extra certificate authority is not PEM: {0}")]
    NotPem(String),
    /// rustls refused the configuration.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Makes client configurations; equal trust shares one, so that sessions resume.
pub struct Trust {
    extra: Vec<CertificateDer<'static>>,
    made: Mutex<HashMap<Option<String>, Arc<ClientConfig>>>,
}

impl Trust {
    /// `extra_pem` is trusted for every provider.
    ///
    /// # Errors
    /// When it is not PEM.
    pub fn new(extra_pem: Option<&[u8]>) -> Result<Self, TrustError> {
        Ok(Self { extra: certificates(extra_pem.unwrap_or_default())?, made: Mutex::default() })
    }

    pub(super) fn client(&self, origin: &Origin) -> Result<Arc<ClientConfig>, TrustError> {
        let own = origin.endpoint.extra_ca_pem.as_ref();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = made.get(&own.cloned()) {
            return Ok(config.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.extra.iter().cloned());
        roots.add_parsable_certificates(certificates(own.map(String::as_bytes).unwrap_or_default())?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        made.insert(own.cloned(), config.clone());
        Ok(config)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| TrustError::NotPem(error.to_string()))
}
