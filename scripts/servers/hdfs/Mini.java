import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/**
 * A name node and a data node in one process, on loopback: {@code Mini PORT DIRECTORY [KEY=VALUE…]}. The folder
 * {@code /walfs} is the user walfs's, and everybody may read it. On the next port HTTP requests change that:
 * {@code /take} keeps all out of the folder but the superuser, who is whoever runs this; {@code /give} undoes it.
 */
public final class Mini {
    private static final Path FOLDER = new Path("/walfs");

    private Mini() {}

    public static void main(String[] words) throws Exception {
        int port = Integer.parseInt(words[0]);
        Configuration settings = new Configuration();
        settings.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, words[1]);
        settings.set("dfs.namenode.fs-limits.min-block-size", "0");
        for (int i = 2; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            settings.set(pair[0], pair[1]);
        }
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(settings)
                .nameNodePort(port)
                .numDataNodes(1)
                .format(true)
                .build();
        cluster.waitActive();
        FileSystem files = cluster.getFileSystem();
        files.mkdirs(FOLDER);
        give(files);
        serve(port + 1, files);
        System.out.println("READY " + cluster.getURI());
        System.out.flush();
        Thread.currentThread().join();
    }

    private static void give(FileSystem files) throws java.io.IOException {
        files.setOwner(FOLDER, "walfs", "walfs");
        files.setPermission(FOLDER, new FsPermission((short) 0755));
    }

    private static void take(FileSystem files) throws java.io.IOException {
        files.setOwner(FOLDER, "nobody", "nobody");
        files.setPermission(FOLDER, new FsPermission((short) 0700));
    }

    private static void serve(int port, FileSystem files) throws java.io.IOException {
        InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
        HttpServer server = HttpServer.create(address, 0);
        server.createContext("/", exchange -> {
            boolean taking = exchange.getRequestURI().getPath().equals("/take");
            if (taking) {
                take(files);
            } else {
                give(files);
            }
            exchange.sendResponseHeaders(204, -1);
            exchange.close();
        });
        server.start();
    }
}
