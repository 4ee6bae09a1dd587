//! The bucket of images on S3: presigned URLs, by which browsers upload straight to it.
//!
//! Nothing is called: a URL is signed with the function's own credentials, so there is no SDK for S3 here.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/PresignedUrlUploadObject.html>

use std::time::{Duration, SystemTime};

use app::ports::{AllowUpload, PortError, Source, Upload};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_types::SdkConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What must not stand in a query as it is: all but the unreserved characters of RFC 3986.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A bucket that callers upload to.
#[derive(Debug, Clone)]
pub struct Images {
    config: SdkConfig,
    region: String,
    /// Where the bucket's files are: https, without a slash at the end.
    url: String,
}

impl Images {
    /// The bucket of this name, in the connection's region; on a local stack by path, as it has no names for buckets.
    pub fn new(config: &SdkConfig, bucket: &str) -> Self {
        let region = config.region().map_or_else(String::new, ToString::to_string);
        let url = match config.endpoint_url() {
            Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
        };
        Self { config: config.clone(), region, url }
    }
}

impl AllowUpload for Images {
    async fn allow_upload(&self, upload: &Upload) -> Result<String, PortError> {
        let operation = "signing an upload";
        let refused = |source: Source| PortError::Permanent { operation, source };
        let provider = self.config.credentials_provider().ok_or_else(|| refused("no credentials".into()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| refused(error.into()))?;
        let bytes = upload.bytes.to_string();
        let request = Presigned {
            method: "PUT",
            url: &self.url_of(&upload.path),
            // Signed, so that S3 refuses a file of another type or size.
            headers: &[("content-length", &bytes), ("content-type", upload.content_type)],
            region: &self.region,
            from: SystemTime::from(upload.from),
            lasts: upload.lasts.unsigned_abs(),
        };
        request.url(credentials).map_err(refused)
    }

    fn url_of(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }
}

/// A request whose signature stands in its URL.
struct Presigned<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a [(&'a str, &'a str)],
    region: &'a str,
    from: SystemTime,
    lasts: Duration,
}

impl Presigned<'_> {
    /// The URL with the signature in it. <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
    fn url(&self, credentials: Credentials) -> Result<String, Source> {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(self.lasts);
        // S3 takes paths as they are.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("s3")
            .time(self.from)
            .settings(settings)
            .build()?
            .into();
        let body = SignableBody::UnsignedPayload;
        let request = SignableRequest::new(self.method, self.url, self.headers.iter().copied(), body)?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        let query: Vec<String> = instructions
            .params()
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &RESERVED)))
            .collect();
        Ok(format!("{}?{}", self.url, query.join("&")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, Timestamp};

    /// The example of <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.
    #[test]
    fn a_url_is_signed_as_in_the_documentation_of_s3() {
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "test",
        );
        let from: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        let request = Presigned {
            method: "GET",
            url: "https://examplebucket.s3.amazonaws.com/test.txt",
            headers: &[],
            region: "us-east-1",
            from: from.into(),
            lasts: Duration::from_secs(86_400),
        };
        assert_eq!(
            request.url(credentials).unwrap(),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn s11_an_upload_is_allowed_for_one_type_and_one_size_only() {
        let credentials = Credentials::new("id", "secret", Some("to/ken+=".to_owned()), None, "test");
        let config = SdkConfig::builder()
            .region(aws_types::region::Region::new("eu-west-1"))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
            .build();
        let images = Images::new(&config, "pictures");
        let upload = |bytes| Upload {
            path: "images/b/1.png".to_owned(),
            content_type: "image/png",
            bytes,
            from: "2026-11-23T10:00:00Z".parse().unwrap(),
            lasts: SignedDuration::from_mins(10),
        };
        let url = images.allow_upload(&upload(1000)).await.unwrap();
        let (base, query) = url.split_once('?').unwrap();
        assert_eq!(base, "https://pictures.s3.eu-west-1.amazonaws.com/images/b/1.png");
        assert!(query.contains("X-Amz-Expires=600&"), "{query}");
        assert!(query.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost"), "{query}");
        assert!(query.contains("X-Amz-Security-Token=to%2Fken%2B%3D"), "{query}");
        assert_ne!(images.allow_upload(&upload(1001)).await.unwrap(), url);
    }
}
