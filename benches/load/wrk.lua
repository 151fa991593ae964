-- Prints one line for `wrk.rs`: requests, microseconds, three percentiles in microseconds, and the number of failures.
done = function(summary, latency, _)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format("figures %d %d %d %d %d %d\n",
        summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9), failed))
end
