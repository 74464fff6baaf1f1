import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** A name node and a data node in one process, on loopback: {@code Mini PORT DIRECTORY [KEY=VALUE…]}. */
public final class Mini {
    private Mini() {}

    public static void main(String[] words) throws Exception {
        Configuration settings = new Configuration();
        settings.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, words[1]);
        settings.set("dfs.permissions.enabled", "false");
        settings.set("dfs.namenode.fs-limits.min-block-size", "0");
        for (int i = 2; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            settings.set(pair[0], pair[1]);
        }
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(settings)
                .nameNodePort(Integer.parseInt(words[0]))
                .numDataNodes(1)
                .format(true)
                .build();
        cluster.waitActive();
        System.out.println("READY " + cluster.getURI());
        System.out.flush();
        Thread.currentThread().join();
    }
}
