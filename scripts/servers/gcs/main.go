// gcsx: fake-gcs-server (in memory) plus the parts of GCS's XML API that object_store uses.
package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

type upload struct {
	bucket, name string
	hdr          http.Header
	parts        map[int][]byte
}
type srv struct {
	f    *fakestorage.Server
	h    http.Handler
	mu   sync.Mutex
	ups  map[string]*upload
	next int
}
type attrs struct{ Etag, Generation string }

func (s *srv) call(method, path string, h http.Header, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://gcsx"+path, bytes.NewReader(body))
	for k, v := range h {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w
}
func quote(e string) string { return `"` + strings.Trim(e, `"`) + `"` }
func (s *srv) stat(b, n string) (a attrs, ok bool) {
	w := s.call("GET", "/storage/v1/b/"+b+"/o/"+url.PathEscape(n), nil, nil)
	if w.Code != 200 {
		return a, false
	}
	json.Unmarshal(w.Body.Bytes(), &a)
	return a, true
}
func fail(w http.ResponseWriter, code int, c string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(code)
	fmt.Fprintf(w, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code><Message>%s</Message></Error>", c, c)
}

// insert writes the object with the server's own generation check, under its own lock.
func (s *srv) insert(w http.ResponseWriter, b, n string, h http.Header, gen string, body []byte) (a attrs, ok bool) {
	q := url.Values{"uploadType": {"media"}, "name": {n}}
	if gen != "" {
		q.Set("ifGenerationMatch", gen)
	}
	hh := http.Header{}
	for k, v := range h {
		if strings.HasPrefix(k, "X-Goog-Meta-") || strings.HasPrefix(k, "Content-") && k != "Content-Length" || k == "Cache-Control" {
			hh[k] = v
		}
	}
	rw := s.call("POST", "/upload/storage/v1/b/"+b+"/o?"+q.Encode(), hh, body)
	switch rw.Code {
	case 200:
		json.Unmarshal(rw.Body.Bytes(), &a)
		w.Header().Set("ETag", quote(a.Etag))
		w.Header().Set("X-Goog-Generation", a.Generation)
		return a, true
	case 412:
		fail(w, 412, "PreconditionFailed")
	case 404:
		fail(w, 404, "NoSuchBucket")
	default:
		fail(w, rw.Code, strings.ReplaceAll(rw.Body.String(), "<", "_"))
	}
	return a, false
}
func (s *srv) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := r.URL.EscapedPath()
	for _, x := range []string{"/storage/v1", "/upload/", "/_internal", "/batch/", "/download/"} {
		if strings.HasPrefix(p, x) {
			s.h.ServeHTTP(w, r)
			return
		}
	}
	b, rest, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	n, err := url.PathUnescape(rest)
	if err != nil {
		fail(w, 400, "InvalidURI")
		return
	}
	q := r.URL.Query()
	if n == "" {
		if r.Method == "GET" {
			s.list(w, b, q)
		} else {
			fail(w, 405, "MethodNotAllowed")
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	gen, id := r.Header.Get("X-Goog-If-Generation-Match"), q.Get("uploadId")
	switch {
	case r.Method == "POST" && q.Has("uploads"):
		s.mu.Lock()
		s.next++
		id = "up" + strconv.Itoa(s.next)
		s.ups[id] = &upload{b, n, r.Header.Clone(), map[int][]byte{}}
		s.mu.Unlock()
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>k</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>", b, id)
	case id != "":
		s.mu.Lock()
		defer s.mu.Unlock()
		u := s.ups[id]
		if u == nil || u.bucket != b || u.name != n {
			fail(w, 404, "NoSuchUpload")
			return
		}
		switch r.Method {
		case "PUT":
			k, _ := strconv.Atoi(q.Get("partNumber"))
			u.parts[k] = body
			w.Header().Set("ETag", fmt.Sprintf(`"p%d-%d"`, k, len(body)))
		case "DELETE":
			delete(s.ups, id)
			w.WriteHeader(204)
		case "POST":
			var c struct {
				Part []struct {
					PartNumber int
					ETag       string
				}
			}
			if xml.Unmarshal(body, &c) != nil {
				fail(w, 400, "MalformedXML")
				return
			}
			var all []byte
			for i, x := range c.Part {
				d, ok := u.parts[x.PartNumber]
				if !ok || x.ETag != fmt.Sprintf(`"p%d-%d"`, x.PartNumber, len(d)) {
					fail(w, 400, "InvalidPart")
					return
				}
				if i+1 < len(c.Part) && len(d) < 5<<20 {
					fail(w, 400, "EntityTooSmall")
					return
				}
				all = append(all, d...)
			}
			if a, ok := s.insert(w, b, n, u.hdr, gen, all); ok {
				delete(s.ups, id)
				fmt.Fprintf(w, "<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>k</Key><ETag>%s</ETag></CompleteMultipartUploadResult>", b, quote(a.Etag))
			}
		}
	case r.Method == "PUT" && r.Header.Get("X-Goog-Copy-Source") != "":
		src, _ := url.PathUnescape(r.Header.Get("X-Goog-Copy-Source"))
		sb, sn, _ := strings.Cut(strings.TrimPrefix(src, "/"), "/")
		g := s.call("GET", "/download/storage/v1/b/"+sb+"/o/"+url.PathEscape(sn)+"?alt=media", nil, nil)
		if g.Code != 200 {
			fail(w, 404, "NoSuchKey")
			return
		}
		if a, ok := s.insert(w, b, n, g.Header(), gen, g.Body.Bytes()); ok {
			fmt.Fprintf(w, "<CopyObjectResult><ETag>%s</ETag></CopyObjectResult>", quote(a.Etag))
		}
	case r.Method == "PUT":
		s.insert(w, b, n, r.Header, gen, body)
	case r.Method == "DELETE":
		if rw := s.call("DELETE", "/storage/v1/b/"+b+"/o/"+url.PathEscape(n), nil, nil); rw.Code == 404 {
			fail(w, 404, "NoSuchKey")
		} else {
			w.WriteHeader(204)
		}
	case r.Method == "GET" || r.Method == "HEAD":
		a, ok := s.stat(b, n)
		if !ok {
			fail(w, 404, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", quote(a.Etag))
		w.Header().Set("X-Goog-Generation", a.Generation)
		if m := r.Header.Get("If-None-Match"); m != "" && (m == "*" || m == quote(a.Etag)) {
			w.WriteHeader(304)
			return
		}
		if m := r.Header.Get("If-Match"); m != "" && m != "*" && m != quote(a.Etag) {
			fail(w, 412, "PreconditionFailed")
			return
		}
		h := http.Header{}
		if x := r.Header.Get("Range"); x != "" {
			h.Set("Range", x)
		}
		// ask for exactly the generation whose ETag was just sent
		g := s.call(r.Method, "/download/storage/v1/b/"+b+"/o/"+url.PathEscape(n)+"?alt=media&generation="+a.Generation, h, nil)
		for k, v := range g.Header() {
			if k != "Etag" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(g.Code)
		w.Write(g.Body.Bytes())
	default:
		fail(w, 405, "MethodNotAllowed")
	}
}

type lc struct {
	Key, LastModified, ETag string
	Size                    int64
}
type lp struct{ Prefix string }
type lr struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name, Prefix          string
	KeyCount              int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []lc
	CommonPrefixes        []lp
}

func (s *srv) list(w http.ResponseWriter, b string, q url.Values) {
	prefix, delim, after := q.Get("prefix"), q.Get("delimiter"), q.Get("start-after")
	if t := q.Get("continuation-token"); t > after {
		after = t
	}
	max, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil || max > 1000 {
		max = 1000
	}
	objs, _, err := s.f.ListObjectsWithOptions(b, fakestorage.ListOptions{Prefix: prefix})
	if err != nil {
		fail(w, 404, "NoSuchBucket")
		return
	}
	sort.Slice(objs, func(i, j int) bool { return objs[i].Name < objs[j].Name })
	res, last := lr{Name: b, Prefix: prefix}, ""
	for _, o := range objs {
		key := o.Name
		if delim != "" {
			if i := strings.Index(key[len(prefix):], delim); i >= 0 {
				key = key[:len(prefix)+i+len(delim)]
				if key == last || strings.HasPrefix(after, key) {
					continue
				}
			}
		}
		if key <= after {
			continue
		}
		if res.KeyCount == max {
			res.IsTruncated, res.NextContinuationToken = true, last
			break
		}
		res.KeyCount++
		last = key
		if key != o.Name {
			res.CommonPrefixes = append(res.CommonPrefixes, lp{key})
		} else {
			res.Contents = append(res.Contents, lc{key, o.Updated.UTC().Format(time.RFC3339Nano), quote(o.Etag), o.Size})
		}
	}
	w.Header().Set("Content-Type", "application/xml")
	xml.NewEncoder(w).Encode(res)
}

func main() {
	addr, bucket := flag.String("addr", "127.0.0.1:4444", ""), flag.String("bucket", "walfs", "")
	flag.Parse()
	f, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", PublicHost: "gcsx", Writer: io.Discard})
	if err != nil {
		log.Fatal(err)
	}
	f.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: *bucket})
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("READY http://" + l.Addr().String())
	log.Fatal(http.Serve(l, &srv{f: f, h: f.HTTPHandler(), ups: map[string]*upload{}}))
}
