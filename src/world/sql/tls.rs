//! Which certificates are believed, the same for every protocol.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::NetError;
use crate::world::install_crypto;

/// The authority's certificates: those of this file, else those of the system.
pub(super) fn authorities(file: Option<&str>) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let Some(path) = file else {
        let found = rustls_native_certs::load_native_certs().certs;
        return match found.is_empty() {
            true => Err(NetError::Setup(
                "this machine has no trust store; name one with sslrootcert".to_owned(),
            )),
            false => Ok(found),
        };
    };
    let unusable = |why: String| NetError::Setup(format!("cannot use {path}: {why}"));
    let found = CertificateDer::pem_file_iter(path).map_err(|e| unusable(e.to_string()))?;
    found
        .map(|one| one.map_err(|e| unusable(e.to_string())))
        .collect()
}

/// A client that checks the server's certificate against these authorities.
pub(super) fn client(file: Option<&str>) -> Result<Arc<ClientConfig>, NetError> {
    install_crypto();
    let mut roots = RootCertStore::empty();
    for certificate in authorities(file)? {
        match (roots.add(certificate), file) {
            // One odd certificate in the system's store does not make the others useless.
            (Ok(()), _) | (Err(_), None) => {}
            (Err(e), Some(path)) => return Err(NetError::Setup(format!("cannot use {path}: {e}"))),
        }
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
