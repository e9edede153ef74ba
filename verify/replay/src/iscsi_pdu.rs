//! Any header is a request, a response, or refused; what is read is written the same.

use outboard_iscsi::pdu::ahs::Ahs;
use outboard_iscsi::pdu::{BHS_LEN, Bhs, Request, Response};

/// `bytes` is a basic header segment and additional ones.
pub fn iscsi_pdu(bytes: &[u8]) {
    let _ = Ahs::parse(bytes);
    let Some(bhs) = Bhs::read(bytes) else { return };
    if let Ok(request) = Request::parse(&bhs) {
        assert_eq!(Request::parse(&request.encode()), Ok(request));
        if let Some(rest) = bytes.get(BHS_LEN..BHS_LEN + bhs.ahs_len())
            && let Some(ahs) = Ahs::parse(rest)
            && !ahs.extended_cdb.is_empty()
        {
            let wire = Ahs::extended_cdb(ahs.extended_cdb);
            assert_eq!(Ahs::parse(&wire).map(|a| a.extended_cdb), Some(ahs.extended_cdb));
        }
    }
    if let Some(response) = Response::parse(&bhs) {
        assert_eq!(Response::parse(&response.encode()), Some(response));
    }
}
