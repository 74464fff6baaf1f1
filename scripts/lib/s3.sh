# shellcheck shell=bash
# What the scripts around S3 servers share: who they know, and a signed request.

export AWS_ACCESS_KEY_ID=walfs-test-key AWS_SECRET_ACCESS_KEY=walfs-test-secret

# s3_put URL [HEADER]: a signed PUT of what is on standard input.
s3_put() {
    local body status=0
    body=$(mktemp)
    cat >"$body"
    curl -sS -m 30 --fail-with-body -X PUT --aws-sigv4 aws:amz:us-east-1:s3 \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
        -H "Content-MD5: $(openssl md5 -binary "$body" | base64)" ${2+-H "$2"} \
        --data-binary "@$body" "$1" >&2 || status=$?
    rm "$body"
    return "$status"
}
