//! The body of a push, bounded; what is too large is left to [`crate::leftover`]. Used by the callback endpoint.

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use wechat::callback::MAX_BODY_BYTES;

/// A body as it came.
pub(crate) enum PushBody {
    /// All of it.
    Whole(Bytes),
    /// More than [`MAX_BODY_BYTES`].
    TooLarge,
    /// The connection broke.
    Broken,
}

impl<S: Send + Sync> FromRequest<S> for PushBody {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(read(request.into_body()).await)
    }
}

async fn read(mut body: Body) -> PushBody {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return PushBody::TooLarge;
    }
    let mut parts = BytesMut::new();
    loop {
        match body.frame().await {
            None => return PushBody::Whole(parts.freeze()),
            Some(Err(_)) => return PushBody::Broken,
            Some(Ok(frame)) => {
                let Ok(part) = frame.into_data() else { continue };
                // The usual push is one part: nothing is copied.
                if parts.is_empty() && body.is_end_stream() && part.len() <= MAX_BODY_BYTES {
                    return PushBody::Whole(part);
                }
                if parts.len() + part.len() > MAX_BODY_BYTES {
                    return PushBody::TooLarge;
                }
                parts.extend_from_slice(&part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_parts(parts: Vec<&'static [u8]>) -> Body {
        let parts = parts.into_iter().map(|part| Ok::<_, std::io::Error>(Bytes::from_static(part)));
        Body::from_stream(futures::stream::iter(parts))
    }

    #[tokio::test]
    async fn a_body_is_whole_up_to_its_bound_in_one_part_or_several() {
        static LONGEST: [u8; MAX_BODY_BYTES] = [b'a'; MAX_BODY_BYTES];
        for body in
            [in_parts(vec![&LONGEST]), in_parts(vec![&LONGEST[1..], b"a"]), Body::from(LONGEST.to_vec())]
        {
            let PushBody::Whole(whole) = read(body).await else { panic!("not whole") };
            assert_eq!(whole, LONGEST.as_slice());
        }
        assert!(matches!(read(Body::empty()).await, PushBody::Whole(whole) if whole.is_empty()));
        for body in [
            in_parts(vec![&LONGEST, b"a"]),
            Body::from([LONGEST.as_slice(), b"a"].concat()),
            in_parts(vec![LONGEST.as_slice(); 100]),
        ] {
            assert!(matches!(read(body).await, PushBody::TooLarge));
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_told() {
        let parts = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))];
        assert!(matches!(read(Body::from_stream(futures::stream::iter(parts))).await, PushBody::Broken));
    }
}
