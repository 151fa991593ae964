//! The real SDK.

use std::time::Duration;

use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, InMemorySpanExporter, SdkTracerProvider,
};

/// Returns a provider that exports spans in batches. During a test only a flush sends a batch.
pub(crate) fn spans(exporter: &InMemorySpanExporter) -> SdkTracerProvider {
    let config = BatchConfigBuilder::default().with_scheduled_delay(Duration::from_secs(3600));
    let batches = BatchSpanProcessor::builder(exporter.clone()).with_batch_config(config.build());
    SdkTracerProvider::builder()
        .with_span_processor(batches.build())
        .build()
}
